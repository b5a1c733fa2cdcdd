"""Find the end of a JPEG by its markers, to detect truncated images without decoding them.

The last bytes alone do not show whether an image is whole. A camera may append bytes after the end
marker, and a truncated image may end with the end marker of the thumbnail in its Exif data.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

START: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
# The codes of markers (ITU-T T.81, table B.1).
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_BASELINE: Final = (0xC0, 0xC1)
_WITHOUT_LENGTH: Final = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))
_NO_SEGMENT: Final = _WITHOUT_LENGTH | {0x00, _EOI, 0xFF}
# The offset of the number of components in a frame segment, from its length field.
_TO_COMPONENTS: Final = 7
_LENGTH: Final = struct.Struct(">H")
# In compressed data, FF is followed by 00 or by the code of a restart marker; FF may be repeated.
_MARKER: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
# Headers without Exif data have some 600 bytes.
_USUAL_HEADER: Final = 1024


def find_end(data: bytes | bytearray) -> int | None:
    """Find the end of a JPEG.

    Args:
        data: Bytes that begin with a JPEG (FF D8 FF).

    Returns:
        The offset after its end marker, or after appended bytes if these end with the same marker.
        ``None`` if the image is truncated: a segment or the compressed data reach the end of the
        bytes, or there are no compressed data.
    """
    header = _headers.get(data[_TELLING]) if len(data) > _TELLING else None
    if (
        header
        and len(data) >= header.length
        and header.read(data) == header.values
        and data.endswith(_END)
    ):
        return len(data)
    end = _walk(data)
    if end == len(data) and (found := _header_of(data)):
        _headers[data[_TELLING]] = found
    return end


class _Header(NamedTuple):
    """The structure of a header that many baseline images with one scan share.

    Comparing it is faster than walking the markers of each image.

    Attributes:
        read: Reads marker and length of each segment, and twice the number of components.
        values: The values that it must read.
        length: The offset of the compressed data.
    """

    read: Callable[[bytes | bytearray], tuple[Any, ...]]
    values: tuple[Any, ...]
    length: int


# Headers of one package differ in width and height, and some in the length of a comment. The byte
# at this offset holds that length, and one header is kept for each of its values.
_TELLING: Final = 23
_headers: Final[dict[int, _Header]] = {}


def _header_of(data: bytes | bytearray) -> _Header | None:
    """The header of an intact baseline image with one scan, if it is short and without gaps.

    A long header has Exif data, so no other image shares it.
    """
    fields = ">2x"
    frames: list[int] = []
    at = 2
    while at < _USUAL_HEADER and data[at] == 0xFF and data[at + 1] not in _NO_SEGMENT:
        code = data[at + 1]
        length = _LENGTH.unpack_from(data, at + 2)[0]
        if code == _SOS:
            # A segment with nothing but its length has no number of components to read.
            if length == _LENGTH.size or frames != [data[at + 4]]:
                return None
            read = struct.Struct(f"{fields}2sHB").unpack_from
            return _Header(read, read(data), at + 2 + length)
        if code in _BASELINE and length > _TO_COMPONENTS:
            frames.append(data[at + 2 + _TO_COMPONENTS])
            fields += f"2sH5xB{length - _TO_COMPONENTS - 1}x"
        else:
            fields += f"2sH{length - 2}x"
        at += 2 + length
    return None


def _walk(data: bytes | bytearray) -> int | None:
    """Go from marker to marker until the end marker."""
    components = 0
    scanned = False
    at = 2
    while match := _MARKER.search(data, at):
        # Decoders ignore bytes between two segments.
        at = match.end()
        code = data[at - 1]
        if code == _EOI:
            return at if scanned else None
        if code in _WITHOUT_LENGTH:
            continue
        if at + 8 > len(data):
            return None
        (length,) = _LENGTH.unpack_from(data, at)
        if length < 2 or at + length > len(data):
            return None
        if code in _BASELINE:
            components = data[at + 7]
        elif code == _SOS:
            scanned = True
            # The scan has all components, so no segment follows it and the last bytes are the end.
            if data[at + 2] == components and data.endswith(_END):
                return len(data)
        at += length
    return None
