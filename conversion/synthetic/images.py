"""Turn photographs into the JPEG files of each package, each with a comment of its own."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from bioscan5m_hf.schema.configurations import resized_parts
from conversion.derive.geometry import Box, resized
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.photograph import (
    FULL_SIZE,
    TINY_SIZE,
    Photograph,
    photograph,
    tiny_photograph,
)

_QUALITY: Final = 75
_PADDING: Final = (240, 240, 240)
# SOI and the JFIF segment that Pillow writes: version 1.1, no density, no thumbnail.
_HEADER: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def draw(options: SampleOptions, some: tuple[int, list[str]]) -> list[tuple[Box, list[bytes]]]:
    """Draw some photographs: the box of each, and a JPEG for each package.

    Args:
        options: What is asked for.
        some: The number of the first of them, and the form of each.
    """
    drawn = []
    for number, form in enumerate(some[1], start=some[0]):
        seed = (options.entropy, 3, number)
        taken = tiny_photograph(seed) if options.tiny else photograph(form, seed)
        jpegs = [encode(picture_of(package, taken)) for package in options.packages]
        drawn.append((taken.box, jpegs))
    return drawn


def picture_of(package: str, taken: Photograph) -> Image.Image:
    """The picture that a package has of a specimen; tiny ones are reduced as large ones are."""
    whole = taken.picture
    if package.startswith("cropped"):
        whole = Image.new("RGB", taken.box.size, _PADDING)
        whole.paste(taken.picture, (-taken.box.x0, -taken.box.y0))
    named = resized_parts(package)
    if not named:
        return whole
    shorter = named[1]
    if taken.picture.size == TINY_SIZE:
        shorter = shorter * TINY_SIZE[1] // FULL_SIZE[1]
    return whole.resize(resized(*whole.size, shorter), Image.Resampling.LANCZOS)


def encode(picture: Image.Image) -> bytes:
    """Compress a picture as upstream does: quality 75, standard tables, 4:2:0."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def commented(jpeg: bytes, processid: str) -> bytes:
    """A JPEG with a comment that names its specimen, so that no two specimens have the same."""
    assert jpeg.startswith(_HEADER)
    comment = processid.encode("ascii")
    length = (len(comment) + 2).to_bytes(2, "big")
    return b"".join((_HEADER, b"\xff\xfe", length, comment, jpeg[len(_HEADER) :]))
