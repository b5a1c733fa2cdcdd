"""Find the end of a JPEG by walking its markers; nothing is decoded.

The last bytes alone do not tell: a camera may append bytes behind the end mark, and an image that
is cut off may end with the end mark of the thumbnail in its Exif data.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import Final

START: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
_SCAN: Final = b"\xff\xda"
# The codes of markers (ITU-T T.81, table B.1).
_EOI: Final = 0xD9
_SOS: Final = 0xDA
_BASELINE: Final = (0xC0, 0xC1)
_WITHOUT_LENGTH: Final = frozenset((0x01, 0xD8, *range(0xD0, 0xD8)))
_LENGTH: Final = struct.Struct(">H")
# In compressed data FF is followed by 00, or by the code of a restart mark; FF may be repeated.
_MARKER: Final = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
# Headers without Exif data have some 600 bytes, and the images of a package share few of them.
_USUAL_HEADER: Final = 1024


def find_end(data: bytes | bytearray) -> int | None:
    """Find where a JPEG ends.

    Args:
        data: Bytes that begin with a JPEG (FF D8 FF).

    Returns:
        The position behind its end mark, or behind what follows it where that ends with the same
        mark; ``None`` where the image is cut off: a segment or the compressed data reach the end
        of the bytes, or there are no compressed data.
    """
    scan = data.find(_SCAN, 0, _USUAL_HEADER)
    if 0 < scan < len(data) - 4 and data.endswith(_END):
        only_scan = _components(bytes(data[:scan])) == data[scan + 4]
        return len(data) if only_scan else _walk(data)
    return _walk(data)


@functools.lru_cache(maxsize=4096)
def _components(header: bytes) -> int:
    """The number of components of a baseline image; 0 where this is not its header."""
    components = 0
    at = 2
    while at + 4 <= len(header) and header[at] == 0xFF:
        if header[at + 1] in _BASELINE and at + 10 <= len(header):
            components = header[at + 9]
        at += 2 + _LENGTH.unpack_from(header, at + 2)[0]
    return components if at == len(header) else 0


def _walk(data: bytes | bytearray) -> int | None:
    """Go from marker to marker until the end mark."""
    components = 0
    scanned = False
    at = 2
    while match := _MARKER.search(data, at):
        # Decoders skip what stands between two segments.
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
            # No segment follows the only scan of an image: such a mark in it is the end mark.
            if data[at + 2] == components and data.endswith(_END):
                return len(data)
        at += length
    return None
