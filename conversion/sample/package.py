"""From one photograph to the JPEG files of every package."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from typing import Final

import deflate
from PIL import Image

from conversion.sample.specimen import FULL_SIZE, TINY_SIZE, Photograph

_QUALITY: Final = 75
_LEVEL: Final = 1  # there is next to nothing to gain in a JPEG
_PADDING: Final = (240, 240, 240)
_SHORTER_SIDE: Final = 256


@dataclass(frozen=True, slots=True)
class Body:
    """A JPEG without its first bytes, which differ from specimen to specimen.

    Attributes:
        plain: All that follows the comment.
        deflated: The same as a raw deflate stream; empty where no zip is written.
    """

    plain: bytes
    deflated: bytes


def crop(photograph: Photograph) -> Image.Image:
    """Cut the box out of a photograph, padding it where the box passes the border."""
    left, top, right, bottom = photograph.box
    cut = Image.new("RGB", (right - left, bottom - top), _PADDING)
    cut.paste(photograph.picture, (-left, -top))
    return cut


def reduced(picture: Image.Image, *, tiny: bool = False) -> Image.Image:
    """Scale a picture to a shorter side of 256 pixels, keeping its proportions.

    Args:
        picture: The picture.
        tiny: Whether it was made tiny; then it is reduced as a full-size photograph would be.
    """
    shorter = _SHORTER_SIDE * TINY_SIZE[1] // FULL_SIZE[1] if tiny else _SHORTER_SIDE
    scale = shorter / min(picture.size)
    size = (
        max(shorter, round(picture.width * scale)),
        max(shorter, round(picture.height * scale)),
    )
    return picture.resize(size, Image.Resampling.LANCZOS)


def picture_of(package: str, photograph: Photograph, *, tiny: bool = False) -> Image.Image:
    """The picture that a package has of a specimen.

    Args:
        package: The name of the package.
        photograph: The original.
        tiny: Whether the photograph is a tiny one.
    """
    whole = crop(photograph) if package.startswith("cropped") else photograph.picture
    return reduced(whole, tiny=tiny) if package.endswith("_256") else whole


def encode(picture: Image.Image) -> bytes:
    """Compress a picture as upstream does: quality 75, standard tables, 4:2:0."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def body_of(jpeg: bytes, *, pack: bool) -> Body:
    """Take the bytes of a JPEG that follow its JFIF header.

    Args:
        jpeg: A JPEG as ``encode`` makes it.
        pack: Whether they are deflated too.
    """
    plain = jpeg[len(HEADER) :]
    assert jpeg.startswith(HEADER)
    return Body(plain, bytes(deflate.deflate_compress(plain, _LEVEL)) if pack else b"")


def head(processid: str) -> bytes:
    """The first bytes of the JPEG of a specimen: JFIF header and a comment that names it.

    Args:
        processid: The name.
    """
    comment = processid.encode("ascii")
    return HEADER + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment


def deflated_head(first: bytes) -> bytes:
    """A raw deflate stream of the first bytes that any other stream may follow.

    A million images that differ in their comment alone need not be deflated one by one: a stored
    block ends on a byte, so the deflated body of the picture can be put behind it.

    Args:
        first: Fewer than 65,536 bytes.
    """
    size = len(first)
    return b"\x00" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + first


def checksum(first: bytes, body: bytes) -> int:
    """The CRC-32 of head and body together."""
    return zlib.crc32(body, zlib.crc32(first))


# SOI and the JFIF segment that Pillow writes: version 1.1, no density, no thumbnail.
HEADER: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
