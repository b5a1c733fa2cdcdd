"""Draw photographs of specimens in pale, round dishes, and make their JPEGs for each package."""

from __future__ import annotations

import io
import math
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from bioscan5m_hf.schema.configurations import resized_parts
from conversion.derive.geometry import Box, resized
from conversion.synthetic.figure import draw_figure, smooth_noise
from conversion.synthetic.forms import FORMS
from conversion.synthetic.options import SampleOptions

Seed = int | tuple[int, ...]

FULL_SIZE: Final = (1024, 768)
TINY_SIZE: Final = (16, 12)

_LENGTHS: Final = (110, 170, 250)  # the body length in pixels: least, usual, most
_GROUNDS: Final = ((176, 181, 196), (184, 191, 194), (184, 197, 206), (188, 196, 198))
_WALL: Final = 0.44  # the radius of the dish as a share of the picture's width

_QUALITY: Final = 75
_PADDING: Final = (240, 240, 240)
# The SOI marker and Pillow's JFIF segment, which must come first.
_HEADER_BYTES: Final = 20


class Drawn(NamedTuple):
    """The box of a photograph, and its JPEG for each package."""

    box: Box
    jpegs: list[bytes]


def draw(options: SampleOptions, some: tuple[int, list[str]]) -> list[Drawn]:
    """Draw some photographs.

    Args:
        options: The options of the release.
        some: The number of the first photograph, and the form of each.
    """
    drawn = []
    for number, form in enumerate(some[1], start=some[0]):
        seed = (options.seed, 3, number)
        picture, box = tiny_photograph(seed) if options.tiny else photograph(form, seed)
        jpegs = [encode(picture_of(package, picture, box)) for package in options.packages]
        drawn.append(Drawn(box, jpegs))
    return drawn


def photograph(form: str, seed: Seed) -> tuple[Image.Image, Box]:
    """Draw a specimen of a form in its dish; each seed gives another photograph.

    Returns:
        The whole photograph, and the box of its crop, which may extend beyond the border.
    """
    rng = np.random.default_rng(seed)
    figure = draw_figure(FORMS[form], float(rng.triangular(*_LENGTHS)), rng)
    middle = rng.normal(0.5, 0.045, 2)
    if rng.random() < 0.03:  # it drifted to the border
        middle[0] = rng.choice([0.05, 0.95])
    left, top = (round(middle[at] * FULL_SIZE[at] - figure.size[at] / 2) for at in (0, 1))
    dish = _dish(int(rng.integers(len(_GROUNDS))))
    picture = dish.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else dish.copy()
    mask = figure.getchannel("A")
    shadow = Image.new("L", (mask.width + 60, mask.height + 60))
    shadow.paste(mask.point(lambda level: level * 0.4), (34, 36))
    shadow = shadow.reduce(4).filter(ImageFilter.GaussianBlur(2.3)).resize(shadow.size)
    picture.paste((86, 90, 100), (left - 30, top - 30), shadow)
    picture.paste(figure.filter(ImageFilter.GaussianBlur(0.6)), (left, top), mask)
    gains = rng.normal(1, 0.02) + rng.normal(0, 0.008, 3)
    lit = picture.point([min(255, round(level * gain)) for gain in gains for level in range(256)])
    room = [round(margin) for margin in rng.uniform(0.14, 0.26, 4) * max(figure.size)]
    right, bottom = left + figure.width + room[2], top + figure.height + room[3]
    return lit, Box(*FULL_SIZE, left - room[0], top - room[1], right, bottom)


def tiny_photograph(seed: Seed) -> tuple[Image.Image, Box]:
    """Make a photograph of a few pixels, for tests in which only the number of images matters."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", TINY_SIZE, tuple(rng.integers(150, 210, 3).tolist()))
    left, top, right, bottom = rng.integers((0, 0, 9, 7), (8, 6, 17, 13)).tolist()
    picture.paste(tuple(rng.integers(20, 140, 3).tolist()), (left, top, right, bottom))
    return picture, Box(*TINY_SIZE, left, top, right, bottom)


@cache
def _dish(number: int) -> Image.Image:
    """Draw one of a few empty dishes, with rings of light on its floor and along its wall."""
    rng = np.random.default_rng(100 + number)
    width, height = FULL_SIZE
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = across / width - rng.normal(0.5, 0.012), down / width - rng.normal(0.375, 0.012)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    light = 10 * x * math.cos(number) + 10 * y * math.sin(number)
    light += 24 * np.clip((radius - _WALL) / 0.02 + 0.5, 0, 1)
    for where, breadth, gain in (
        *((0.07, 0.012, 12), (0.115, 0.03, 16), (0.2, 0.02, 14)),
        *((_WALL - 0.014, 0.003, 70), (_WALL - 0.006, 0.003, -60), (_WALL + 0.006, 0.003, 50)),
    ):
        arc = np.clip(0.45 + 0.55 * np.cos(angle - rng.uniform(0, 2 * math.pi)), 0, 1)
        light += gain * arc * np.exp(-(((radius - where) / breadth) ** 2))
    for cell, spread in ((1, 1.5), (5, 1.2), (24, 1.2), (120, 3)):
        light += smooth_noise(rng, (height, width), cell, spread)
    picture = np.array(_GROUNDS[number], dtype=np.float32) + light[..., None]
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def picture_of(package: str, photograph: Image.Image, box: Box) -> Image.Image:
    """Crop and resize a photograph for a package; tiny ones are reduced by the same ratio."""
    whole = photograph
    if package.startswith("cropped"):
        whole = Image.new("RGB", box.size, _PADDING)
        whole.paste(photograph, (-box.x0, -box.y0))
    named = resized_parts(package)
    if not named:
        return whole
    shorter = named[1] * photograph.height // FULL_SIZE[1]
    return whole.resize(resized(*whole.size, shorter), Image.Resampling.LANCZOS)


def encode(picture: Image.Image) -> bytes:
    """Compress a picture as upstream does: quality 75, standard tables, 4:2:0."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def commented(jpeg: bytes, processid: str) -> bytes:
    """Add a comment with the processid to a JPEG, so that the bytes of each specimen differ."""
    comment = processid.encode("ascii")
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return jpeg[:_HEADER_BYTES] + segment + jpeg[_HEADER_BYTES:]
