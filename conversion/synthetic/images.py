"""Turn photographs into the JPEG files of each package, and keep them for many specimens."""

from __future__ import annotations

import io
import os
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

import deflate
from PIL import Image

from bioscan5m_hf.schema.configurations import resized_parts
from conversion.derive.geometry import Box, resized
from conversion.synthetic.photograph import (
    FULL_SIZE,
    TINY_SIZE,
    Photograph,
    photograph,
    tiny_photograph,
)

_QUALITY: Final = 75
_LEVEL: Final = 1  # there is next to nothing to gain in a JPEG
_PADDING: Final = (240, 240, 240)
# SOI and the JFIF segment that Pillow writes: version 1.1, no density, no thumbnail.
_HEADER: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


@dataclass(frozen=True, slots=True)
class DrawTask:
    """Some successive photographs to draw: their forms, and the packages that want them."""

    seed: int
    start: int  # the number of the first
    forms: list[str]
    packages: tuple[str, ...]
    tiny: bool


class Body(NamedTuple):
    """A JPEG without its first bytes, which differ from specimen to specimen: plain, deflated."""

    plain: bytes
    deflated: bytes


def draw(task: DrawTask) -> list[tuple[Box, list[Body]]]:
    """Draw and compress some photographs: the box of each, and a body for each package."""
    drawn = []
    for number, form in enumerate(task.forms, start=task.start):
        seed = (task.seed, 3, number)
        taken = tiny_photograph(seed) if task.tiny else photograph(form, seed)
        bodies = [body_of(encode(picture_of(package, taken))) for package in task.packages]
        drawn.append((taken.box, bodies))
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


def body_of(jpeg: bytes) -> Body:
    """Take the bytes of a JPEG that follow its JFIF header."""
    assert jpeg.startswith(_HEADER)
    plain = jpeg[len(_HEADER) :]
    return Body(plain, bytes(deflate.deflate_compress(plain, _LEVEL)))


def head_of(processid: str) -> bytes:
    """The first bytes of the JPEG of a specimen, with a comment that names it."""
    comment = processid.encode("ascii")
    return _HEADER + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment


def deflated_jpeg(head: bytes, body: Body) -> tuple[bytes, int, int]:
    """A JPEG as a raw deflate stream, its CRC-32 and its length.

    A million images that differ in their comment alone need not be deflated one by one: a stored
    block ends on a byte, so the deflated body can be put behind it.
    """
    size = len(head).to_bytes(2, "little") + (len(head) ^ 0xFFFF).to_bytes(2, "little")
    crc = zlib.crc32(body.plain, zlib.crc32(head))
    return b"\0" + size + head + body.deflated, crc, len(head) + len(body.plain)


class BodyStore:
    """Keeps bodies in a nameless file in a folder, those of one photograph after another's."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        self._places: list[list[tuple[int, int, int]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def add(self, bodies: Sequence[Body]) -> None:
        """Keep the bodies of one more photograph, one for each package."""
        self._places.append([])
        for plain, deflated in bodies:
            self._places[-1].append((self._file.tell(), len(plain), len(deflated)))
            self._file.write(plain + deflated)

    def read(self, package: int, photograph: int) -> Body:
        """Fetch a body, by the numbers of package and photograph."""
        start, plain, deflated = self._places[photograph][package]
        data = os.pread(self._file.fileno(), plain + deflated, start)
        return Body(data[:plain], data[plain:])
