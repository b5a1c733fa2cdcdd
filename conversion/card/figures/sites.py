"""Draw a map of the places where the specimens were collected.

``land.bin`` has the outlines of Natural Earth's countries at 1:110 million, which are in the
public domain (naturalearthdata.com). Each ring is a count, and that many pairs of longitude and
latitude in hundredths of a degree; all numbers have 16 bits.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

from PIL import Image, ImageDraw

from conversion.card.figures.canvas import FAINT, INK, Canvas, short_count
from conversion.card.statistics import Profile

_WIDTH: Final = 1600
_MARGIN: Final = 40
_TOP: Final = 110
# The map ends north of the Antarctic, where no insects are collected.
_NORTH, _SOUTH = 84, -58
_LAND: Final = (226, 228, 222)
_DOT: Final = (176, 58, 46)
# The opacity of a dot, and of its edge, which separates dots that touch.
_FULL, _EDGE = 190, 90
# The map is drawn larger and then reduced, because Pillow's shapes have jagged edges.
_SMOOTH: Final = 2
_SMALLEST, _LARGEST = 2.5, 9.0


def sites(found: Profile) -> bytes:
    """Draw a map of the places of collection.

    Returns:
        A PNG with a dot for each cell of one degree. The area of a dot grows with the logarithm of
        the number of specimens.
    """
    scale = (_WIDTH - 2 * _MARGIN) / 360
    height = round((_NORTH - _SOUTH) * scale)
    note = f"{found.located:,} specimens with coordinates, cells of one degree"
    canvas = Canvas(_WIDTH, _TOP + height + 90, "Where they were collected", note)
    canvas.stain(_LAND, _land(scale, height), _MARGIN, _TOP)
    canvas.stain(_DOT, _dots(found, scale, height), _MARGIN, _TOP)
    _draw_legend(canvas, found, _TOP + height + 45)
    return canvas.png()


@cache
def _land(scale: float, height: int) -> Image.Image:
    """A mask of the land, without the lines between countries."""
    zoom = scale * _SMOOTH
    mask = Image.new("L", (round(360 * zoom), height * _SMOOTH), 0)
    draw = ImageDraw.Draw(mask)
    for ring in _rings():
        points = [((x + 180) * zoom, (_NORTH - y) * zoom) for x, y in ring]
        # Drawn separately: for a polygon with an outline, Pillow makes a mask of the whole map.
        draw.polygon(points, 255)
        draw.line([*points, points[0]], 0, _SMOOTH)
    return mask.reduce(_SMOOTH)


def _dots(found: Profile, scale: float, height: int) -> Image.Image:
    """A mask with the opacity of the dots."""
    zoom = scale * _SMOOTH
    mask = Image.new("L", (round(360 * zoom), height * _SMOOTH), 0)
    draw = ImageDraw.Draw(mask)
    most = max(found.sites.values(), default=1)
    # Large dots are drawn first, so that none hides a smaller one.
    for (latitude, longitude), count in sorted(found.sites.items(), key=lambda site: -site[1]):
        radius = _radius(count, most) * _SMOOTH
        x, y = (longitude + 180.5) * zoom, (_NORTH - latitude - 0.5) * zoom
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), _FULL, _EDGE)
    return mask.reduce(_SMOOTH)


def _radius(count: int, most: int) -> float:
    share = math.log(count) / math.log(most) if most > 1 else 1.0
    return math.sqrt(_SMALLEST**2 + share * (_LARGEST**2 - _SMALLEST**2))


def _draw_legend(canvas: Canvas, found: Profile, middle: int) -> None:
    most = max(found.sites.values(), default=1)
    left = float(_MARGIN + 20)
    powers = [10**power for power in range(len(str(most)))]
    for count in powers:
        radius = _radius(count, most)
        box = Image.new("L", (80, 80), 0)
        edges = (40 - 2 * radius, 40 - 2 * radius, 40 + 2 * radius, 40 + 2 * radius)
        ImageDraw.Draw(box).ellipse(edges, _FULL, _EDGE)
        canvas.stain(_DOT, box.reduce(_SMOOTH), round(left) - 20, middle - 20)
        canvas.text((left + radius + 8, middle), short_count(count), 20, INK, "lm")
        left += radius + 100
    canvas.text((left, middle), "specimens in a cell", 20, FAINT, "lm")
    canvas.text((_WIDTH - _MARGIN, middle), "Land: Natural Earth", 18, FAINT, "rm")


def _rings() -> Iterator[list[tuple[float, float]]]:
    data = files(__package__).joinpath("land.bin").read_bytes()
    at = 0
    while at < len(data):
        (count,) = struct.unpack_from("<H", data, at)
        numbers = struct.unpack_from(f"<{2 * count}h", data, at + 2)
        yield [(x / 100, y / 100) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
        at += 2 + 4 * count
