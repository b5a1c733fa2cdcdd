"""Drawing in the measures of a body, wherever it lies and whichever way it points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from PIL import Image, ImageDraw

Point = tuple[float, float]
Colour = tuple[int, int, int]

_TURN: Final = 2 * math.pi
_CORNERS: Final = 28
_SHADES: Final = 5


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """A colour between two.

    Args:
        colour: Where ``share`` is 0.
        other: Where ``share`` is 1.
        share: How much of the other; beyond [0, 1] the colours are clipped.
    """
    red, green, blue = (
        max(0, min(255, round(a + (b - a) * share))) for a, b in zip(colour, other, strict=True)
    )
    return red, green, blue


class Pen:
    """Draws on transparent layers; the body is one unit long and its head points to +x.

    Args:
        side: Width and height of the layers in pixels.
        scale: Pixels to the unit.
        angle: The direction of the head, in radians.
    """

    def __init__(self, side: int, scale: float, angle: float) -> None:
        self._scale = scale
        self._middle = side / 2
        self._cosine, self._sine = math.cos(angle), math.sin(angle)
        self._size = (side, side)
        self.layer = Image.new("RGBA", self._size, (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._below: list[Image.Image] = []

    def next_layer(self) -> None:
        """Draw what follows above all that was drawn so far."""
        self._below.append(self.layer)
        self.layer = Image.new("RGBA", self._size, (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)

    def picture(self) -> Image.Image:
        """All layers, composed."""
        layers = [*self._below, self.layer]
        whole = layers[0]
        for layer in layers[1:]:
            whole = Image.alpha_composite(whole, layer)
        return whole

    def blob(
        self, centre: Point, radii: Point, colour: Colour, *, tilt: float = 0.0, gloss: float = 0.3
    ) -> None:
        """A rounded solid, lit from above.

        Args:
            centre: Its middle.
            radii: Half its length and half its breadth.
            colour: Its colour half-way between light and shade.
            tilt: By how much its length is turned from the body's, in radians.
            gloss: How bright its highlight is, from 0 to 1.
        """
        dark = mixed(colour, (10, 8, 6), 0.55)
        bright = mixed(colour, (255, 252, 240), gloss)
        for step in range(_SHADES):
            share = step / (_SHADES - 1)
            size = 1 - 0.72 * share
            # The light stands still while bodies turn.
            lift = min(radii) * 0.34 * share * self._scale
            tone = (
                mixed(dark, colour, share * 2)
                if share < 0.5
                else mixed(colour, bright, share * 2 - 1)
            )
            outline = self._ellipse(centre, (radii[0] * size, radii[1] * size), tilt)
            self._draw.polygon([(x - lift * 0.5, y - lift) for x, y in outline], fill=(*tone, 255))

    def patch(
        self, centre: Point, radii: Point, colour: Colour, opacity: int, *, tilt: float = 0.0
    ) -> None:
        """A flat ellipse, such as a spot or a band.

        Args:
            centre: Its middle.
            radii: Half its length and half its breadth.
            colour: Its colour.
            opacity: From 0 to 255.
            tilt: By how much its length is turned from the body's, in radians.
        """
        self._draw.polygon(self._ellipse(centre, radii, tilt), fill=(*colour, opacity))

    def limb(self, points: Sequence[Point], widths: Point, colour: Colour) -> None:
        """A jointed limb that tapers.

        Args:
            points: Its joints, from the body outwards.
            widths: Its width at the first and at the last of them.
            colour: Its colour.
        """
        placed = [self._place(point) for point in points]
        steps = max(1, len(placed) - 1)
        for number, (start, end) in enumerate(pairwise(placed)):
            share = number / steps
            width = (widths[0] + (widths[1] - widths[0]) * share) * self._scale
            self._draw.line([start, end], fill=(*colour, 255), width=max(1, round(width)))
            reach = width / 2
            self._draw.ellipse(
                [end[0] - reach, end[1] - reach, end[0] + reach, end[1] + reach],
                fill=(*colour, 255),
            )

    def membrane(
        self, outline: Sequence[Point], colour: Colour, opacity: int, *, rim: Colour, width: float
    ) -> None:
        """A wing.

        Args:
            outline: Its corners.
            colour: What it is filled with.
            opacity: How far it hides what lies below, from 0 to 255.
            rim: The colour of its edge.
            width: The breadth of its edge.
        """
        placed = [self._place(point) for point in outline]
        self._draw.polygon(placed, fill=(*colour, opacity))
        thickness = max(1, round(width * self._scale))
        self._draw.line([*placed, placed[0]], fill=(*rim, min(255, opacity + 110)), width=thickness)

    def vein(self, points: Sequence[Point], colour: Colour, opacity: int, width: float) -> None:
        """A line on a wing.

        Args:
            points: Where it runs.
            colour: Its colour.
            opacity: From 0 to 255.
            width: Its breadth.
        """
        placed = [self._place(point) for point in points]
        self._draw.line(placed, fill=(*colour, opacity), width=max(1, round(width * self._scale)))

    def _place(self, point: Point) -> Point:
        x, y = point
        return (
            self._middle + self._scale * (x * self._cosine - y * self._sine),
            self._middle + self._scale * (x * self._sine + y * self._cosine),
        )

    def _ellipse(self, centre: Point, radii: Point, tilt: float) -> list[Point]:
        cosine, sine = math.cos(tilt), math.sin(tilt)
        outline = []
        for corner in range(_CORNERS):
            turn = _TURN * corner / _CORNERS
            along, aside = radii[0] * math.cos(turn), radii[1] * math.sin(turn)
            outline.append(
                self._place(
                    (
                        centre[0] + along * cosine - aside * sine,
                        centre[1] + along * sine + aside * cosine,
                    )
                )
            )
        return outline
