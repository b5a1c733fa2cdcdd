"""The pale, round dish that specimens are photographed in."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Pixels = NDArray[np.float32]

_DISHES: Final = 6
_GROUNDS: Final = (
    (168, 171, 190),
    (177, 183, 186),
    (172, 184, 194),
    (182, 192, 192),
    (178, 178, 186),
)
_RINGS: Final = ((0.10, 0.028, 20), (0.20, 0.04, 20), (0.245, 0.016, 12), (0.36, 0.04, 10))
_WALL: Final = 0.46  # radius of the dish, as a share of the width of the picture


def ground(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """An empty dish.

    Args:
        size: Width and height in pixels.
        rng: Decides which of a few dishes it is, how it lies and how it is lit.
    """
    dish = _dish(size, int(rng.integers(_DISHES)))
    if rng.random() < 0.5:
        dish = dish.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        dish = dish.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    light = rng.normal(1.0, 0.025) + rng.normal(0.0, 0.006, 3)
    bands = [
        band.point([min(255, round(level * gain)) for level in range(256)])
        for band, gain in zip(dish.split(), light.tolist(), strict=True)
    ]
    picture = Image.merge("RGB", bands)
    _litter(ImageDraw.Draw(picture), size, rng)
    return picture


@cache
def grain(size: tuple[int, int]) -> Pixels:
    """The noise of the camera, around 0.

    Args:
        size: Width and height in pixels.
    """
    rng = np.random.default_rng(7)
    fine = rng.normal(0.0, 2.1, (size[1], size[0]))
    coarse = _smooth(rng, size, 200, 1.4)
    return (fine + coarse).astype(np.float32)


@cache
def _dish(size: tuple[int, int], number: int) -> Image.Image:
    # Nothing in a dish is sharp, and a quarter of the pixels takes a quarter of the time.
    half = (size[0] // 2, size[1] // 2)
    return _half_dish(half, number).resize(size, Image.Resampling.BICUBIC)


def _half_dish(size: tuple[int, int], number: int) -> Image.Image:
    rng = np.random.default_rng(100 + number)
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    middle = rng.normal(0.5, 0.012, 2)
    x = across / width - middle[0]
    y = (down - height * middle[1]) / width
    radius = np.hypot(x, y)
    angle = np.arctan2(y, x)
    light = 6 * np.cos(angle - rng.uniform(0, 6.3)) * radius
    for where, breadth, gain in _RINGS:
        uneven = 0.65 + 0.35 * np.cos(2 * angle + rng.uniform(0, 6.3))
        wobble = 0.006 * np.sin(3 * angle + rng.uniform(0, 6.3))
        light += gain * uneven * np.exp(-(((radius - where - wobble) / breadth) ** 2))
        light -= gain * 0.5 * np.exp(-(((radius - where - wobble - breadth) / breadth) ** 2))
    # Scattered light inside the wall, streaks outside of it.
    streaks = np.sin(9 * angle + rng.uniform(0, 6.3)) * np.sin(4 * angle + rng.uniform(0, 6.3))
    outside = 1 / (1 + np.exp((_WALL - radius) / 0.006))
    light += outside * (26 + 22 * streaks + 60 * (radius - _WALL))
    light += _smooth(rng, size, 40, 1.6) + _smooth(rng, size, 9, 3.5)
    tint = np.array(_GROUNDS[number % len(_GROUNDS)], dtype=np.float32)
    lavender = outside[..., None] * np.array([2, -4, 8], dtype=np.float32)
    colour = tint + light[..., None] + lavender + _wall_lines(radius, angle, rng)
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


def _wall_lines(radius: Pixels, angle: Pixels, rng: np.random.Generator) -> Pixels:
    """Thin bluish lines and glints where the wall refracts the light."""
    lines = np.zeros((*radius.shape, 3), dtype=np.float32)
    for offset in (-0.018, -0.004, 0.012):
        edge = np.exp(-(((radius - _WALL - offset) / 0.0022) ** 2))
        dark = 0.5 + 0.5 * np.cos(3 * angle + rng.uniform(0, 6.3))
        lines -= (edge * dark)[..., None] * np.array([46, 40, 18], dtype=np.float32)
        glint = np.clip(np.cos(2 * angle + rng.uniform(-0.5, 0.5)), 0, 1) ** 6
        bright = np.exp(-(((radius - _WALL - offset - 0.007) / 0.004) ** 2))
        lines += (bright * glint * 85)[..., None]
    return lines


def _smooth(rng: np.random.Generator, size: tuple[int, int], cells: int, spread: float) -> Pixels:
    """Noise that changes over a width / ``cells``."""
    rows = max(2, cells * size[1] // size[0])
    coarse = Image.fromarray(rng.normal(0.0, spread, (rows, cells)).astype(np.float32))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)


def _litter(draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: np.random.Generator) -> None:
    """Scratches, and specks of dirt."""
    unit = size[0] / 1024
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.normal(0.5, 0.14, 2) * size
        along, angle = rng.uniform(10, 70) * unit, rng.uniform(0, 3.2)
        shade = int(rng.integers(196, 222))
        end = (x + along * np.cos(angle), y + along * np.sin(angle))
        draw.line([(x, y), end], fill=(shade, shade, shade + 4), width=max(1, round(unit)))
    for _ in range(int(rng.integers(1, 6))):
        x, y = rng.normal(0.5, 0.17, 2) * size
        reach = rng.uniform(0.8, 2.6) * unit
        shade = int(rng.integers(70, 140))
        draw.ellipse([x - reach, y - reach * 0.6, x + reach, y + reach * 0.6], (shade,) * 3)
