"""Photograph a specimen in its pale, round dish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from conversion.derive.geometry import Box
from conversion.synthetic.figure import draw_figure, smooth_noise
from conversion.synthetic.forms import FORMS

Seed = int | tuple[int, ...]

FULL_SIZE: Final = (1024, 768)
TINY_SIZE: Final = (16, 12)

_VISIBLE: Final = 60  # of 255: fainter pixels do not count as organism
_DISHES: Final = 4
_SHADOW: Final = 7
_GROUNDS: Final = ((176, 181, 196), (184, 191, 194), (184, 197, 206), (188, 196, 198))
_WALL: Final = 0.44  # the radius of the dish as a share of the picture's width


@dataclass(frozen=True, slots=True)
class Photograph:
    """One picture and where the organism is on it.

    Attributes:
        picture: The whole photograph.
        box: What the crop shows; it may pass the border.
        pixels: The number of pixels that show the organism.
    """

    picture: Image.Image
    box: Box
    pixels: int


def photograph(form: str, seed: Seed) -> Photograph:
    """Draw a specimen in its dish.

    Args:
        form: A key of ``FORMS``.
        seed: What makes it differ from others of its form.
    """
    rng = np.random.default_rng(seed)
    low, high = FORMS[form].size
    figure = draw_figure(FORMS[form], float(rng.triangular(low, (low + high) * 0.45, high)), rng)
    mask = figure.getchannel("A")
    middle = rng.normal(0.5, 0.045, 2)
    if rng.random() < 0.03:  # it drifted to the border
        middle[0] = rng.choice([0.05, 0.95])
    left = round(middle[0] * FULL_SIZE[0] - figure.width / 2)
    top = round(middle[1] * FULL_SIZE[1] - figure.height / 2)
    dish = _dish(int(rng.integers(_DISHES)))
    picture = dish.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else dish.copy()
    _throw_shadow(picture, mask, (left, top))
    picture.paste(figure.filter(ImageFilter.GaussianBlur(0.6)), (left, top), mask)
    gains = rng.normal(1, 0.02) + rng.normal(0, 0.008, 3)
    lit = picture.point([min(255, round(level * gain)) for gain in gains for level in range(256)])
    margins = rng.uniform(0.14, 0.26, 4) * max(figure.size)
    box = Box(
        *FULL_SIZE,
        round(left - margins[0]),
        round(top - margins[1]),
        round(left + figure.width + margins[2]),
        round(top + figure.height + margins[3]),
    )
    return Photograph(lit, box, sum(mask.histogram()[_VISIBLE:]))


def tiny_photograph(seed: Seed) -> Photograph:
    """Make a photograph of a few pixels, where only the number of images matters.

    Args:
        seed: What makes it differ from others.
    """
    rng = np.random.default_rng(seed)
    ground, body = rng.integers(150, 210, 3).tolist(), rng.integers(20, 140, 3).tolist()
    picture = Image.new("RGB", TINY_SIZE, tuple(ground))
    width, height = int(rng.integers(4, 9)), int(rng.integers(4, 7))
    left, top = int(rng.integers(0, 17 - width)), int(rng.integers(0, 13 - height))
    picture.paste(tuple(body), (left + 1, top + 1, left + width - 1, top + height - 1))
    box = Box(*TINY_SIZE, left, top, left + width, top + height)
    return Photograph(picture, box, (width - 2) * (height - 2))


def _throw_shadow(picture: Image.Image, mask: Image.Image, place: tuple[int, int]) -> None:
    room = 4 * _SHADOW  # on each side, for the blur
    shadow = Image.new("L", (mask.width + 2 * room, mask.height + 2 * room))
    shadow.paste(mask, (room + 4, room + 6))
    soft = shadow.reduce(4).filter(ImageFilter.GaussianBlur(_SHADOW / 3)).resize(shadow.size)
    faint = soft.point([level * 2 // 5 for level in range(256)])
    picture.paste((86, 90, 100), (place[0] - room, place[1] - room), faint)


@cache
def _dish(number: int) -> Image.Image:
    """One of a few empty dishes: rings of light on its floor, refraction along its wall."""
    rng = np.random.default_rng(100 + number)
    width, height = FULL_SIZE[0] // 2, FULL_SIZE[1] // 2
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = rng.normal(0.5, 0.012, 2)
    x, y = across / width - middle[0], (down - height * middle[1]) / width
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    light = 10 * x * math.cos(number) + 10 * y * math.sin(number)
    for where, breadth, gain in ((0.07, 0.012, 14), (0.115, 0.03, 18), (0.2, 0.02, 16)):
        turn = rng.uniform(0, 2 * math.pi)
        near = (radius - where - 0.004 * np.sin(3 * angle + turn)) / breadth
        arc = np.clip(0.45 + 0.55 * np.cos(angle - turn) + 0.25 * np.sin(5 * angle + turn), 0, 1)
        light += gain * arc * np.exp(-(near**2)) - gain * 0.3 * arc * np.exp(-((near - 1.6) ** 2))
    light += smooth_noise(rng, (height, width), 12, 1.2) + smooth_noise(rng, (height, width), 60, 3)
    outside = 1 / (1 + np.exp((_WALL - radius) / 0.004))
    light += outside * (24 + 4 * np.sin(radius * 95) + smooth_noise(rng, (height, width), 40, 9))
    for offset, strong in ((-0.014, 70), (-0.006, -60), (0.004, 60), (0.012, -45)):
        turn = rng.uniform(0, 2 * math.pi)
        arc = np.clip(0.45 + 0.6 * np.cos(2 * angle + turn), 0, 1)
        light += strong * arc * np.exp(-(((radius - _WALL - offset) / 0.0026) ** 2))
    picture = np.array(_GROUNDS[number % len(_GROUNDS)], dtype=np.float32) + light[..., None]
    small = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    large = np.asarray(small.resize(FULL_SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
    shape = (FULL_SIZE[1], FULL_SIZE[0])
    grain = rng.normal(0, 1.5, shape) + smooth_noise(rng, shape, 5, 1.2)
    return Image.fromarray(np.clip(large + grain[..., None], 0, 255).astype(np.uint8))
