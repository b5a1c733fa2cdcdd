"""Draw a specimen from rounded parts, as a height map that is lit as a whole."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from conversion.synthetic.forms import Form, Surface

Pixels = NDArray[Any]
Segment = tuple[float, float, float]
"""Heading, length and width of one part of a limb."""
Pattern = Callable[[Pixels, Pixels], Pixels]
"""The darkness of a part, from 0 to 1, at positions along and across it, from -1 to 1."""

_REACH: Final = 3.2  # the side of the canvas in body lengths; antennae and legs need the space
_LIGHT: Final = (0.42, 0.52, 0.74)
_HALFWAY: Final = (0.22, 0.28, 0.93)
_DARK: Final = np.array([30, 22, 18], dtype=np.float32)
_PLAIN: Final = Surface()
_SPOTS: Final = ((0.5, 0.1), (0.05, -0.5), (0.0, 0.55), (-0.5, 0.0))


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, spread: float
) -> Pixels:
    """Return noise around 0 that varies over ``cell`` pixels; ``spread`` is its deviation."""
    rows, columns = (max(2, round(side / cell)) for side in shape)
    coarse = Image.fromarray(rng.normal(0, spread, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.float32)


def draw_figure(form: Form, length: float, rng: np.random.Generator) -> Image.Image:
    """Draw a specimen of ``length`` pixels in a random direction, on a transparent background."""
    canvas = _Canvas(length, float(rng.uniform(0, 2 * math.pi)))
    colours = form.colours.split()
    colour = _rgb(colours[int(rng.integers(len(colours)))])
    colour = np.clip(colour * rng.normal(1, 0.09) + rng.normal(0, 7, 3), 18, 235)
    head = 0.5 - form.head[0]
    thorax = head - (form.head[0] + form.thorax[0]) * 0.92
    abdomen = thorax - (form.thorax[0] + form.abdomen[0]) * 0.88 - form.waist
    # Higher parts are drawn later.
    below = colour * 0.85 + np.array([14, 10, 4])
    canvas.limb(thorax, [(math.pi, thorax - abdomen, 0.04)], below)
    for side in (-1, 1):
        for share in np.linspace(0, 1, form.legs):
            hip = thorax + form.thorax[0] * (0.6 - 1.3 * share) + side * form.thorax[1] * 0.6j
            canvas.limb(hip, _leg(form, side, share, rng), below)
        root = head + form.head[0] * 0.7 + side * form.head[1] * 0.3j
        canvas.limb(root, _antenna(form, side, rng), below * 0.85)
    pale = colour + (np.array([214, 184, 128]) - colour) * rng.uniform(0, 0.4)
    depth = float(rng.uniform(0.25, 0.65)) if form.rings else 0.0
    canvas.add(
        abdomen, form.abdomen, pale, lambda u, v: depth * _bands(u + 0.15 * v**2, form.rings)
    )
    canvas.add(thorax, form.thorax, colour, lambda u, v: depth * 0.7 * _bands(v, 3) * (u > -0.6))
    canvas.add(head, form.head, colour * 0.85)
    for side in (-1, 1):
        eye = head + form.head[0] * 0.2 + side * form.head[1] * 0.75j
        canvas.add(eye, (form.eye, form.eye * 0.8), _rgb(form.eyes))
    for wing in form.wings:
        pattern = _wing_pattern(wing.surface.pattern, rng)
        tint = _rgb(wing.colour) if wing.colour else colour
        tint = tint * rng.normal(1, 0.08) + rng.normal(0, 7, 3)
        spread, half = rng.uniform(*wing.spread), wing.length / 2
        for side in (-1, 1):
            angle = side * (math.pi - spread - float(rng.normal(0, 0.03)))
            centre = wing.base + side * 0.06j + cmath.rect(half, angle)
            canvas.add(centre, (half, wing.breadth / 2), tint, pattern, wing.surface, angle)
    return canvas.picture(form.gloss, rng)


def _rgb(colour: str) -> Pixels:
    return np.array(ImageColor.getrgb(colour), dtype=np.float32)


def _leg(form: Form, side: int, share: float, rng: np.random.Generator) -> Iterable[Segment]:
    """Return one leg of a side; ``share`` is 0 for the front leg and 1 for the hind leg."""
    reach = form.leg * (form.hind if share == 1 else 1) * rng.uniform(0.85, 1.1)
    turns = [0.7 + 1.65 * share + rng.normal(0, 0.18), rng.normal(0.5, 0.3), 0.3, 0.2]
    lengths = reach * np.array([0.42, 0.38, 0.16, 0.12])
    widths = form.width * np.array([0.6, 0.42, 0.28, 0.2])
    return zip(side * np.cumsum(turns), lengths, widths, strict=True)


def _antenna(form: Form, side: int, rng: np.random.Generator) -> Iterable[Segment]:
    bends = side * (rng.uniform(0.15, 0.6) + np.arange(7) * rng.normal(0.1, 0.07))
    beads = np.maximum(form.width * np.linspace(0.45, 0.3, 7), 0.008)
    return zip(bends, [form.antenna / 7] * 7, beads, strict=True)


def _bands(place: Pixels, count: float) -> Pixels:
    """Return dark bands with soft edges, ``count`` on each side of the middle."""
    return np.clip(np.cos(place * count * math.pi) * 1.6 - 0.5, 0, 1)


def _wing_pattern(name: str, rng: np.random.Generator) -> Pattern | None:
    """Return the pattern of a pair of wings; each pair has other scales."""
    count, phase, bend = rng.uniform(2, 4), rng.uniform(0, 6), rng.uniform(1, 2)

    def veins(u: Pixels, v: Pixels) -> Any:
        fan = np.abs(np.sin(math.pi * 3.2 * (v - 0.25) / (1.5 + 0.5 * u))) * (1.2 + u) / 0.2
        rim = (1 - np.hypot(u, v)) / 0.05
        return np.exp(-(np.minimum(fan, rim) ** 2))

    def scales(u: Pixels, v: Pixels) -> Any:
        waves = np.sin(u * count * math.pi + bend * np.cos(3 * v) + phase)
        spot = (0.17 - np.hypot(u - 0.25, (v - 0.1) * 0.6)) * 9
        dark = np.maximum(0.22 + 0.28 * np.clip(2 * waves, -1, 1), spot)
        return np.clip(dark + 0.4 * np.hypot(u, v) ** 8, 0, 0.85)

    def spots(u: Pixels, v: Pixels) -> Any:
        away = [np.hypot(u - x, (v - y) * 0.6) for x, y in _SPOTS]
        return np.clip((0.2 - np.min(away, axis=0)) * 14, 0, 0.9)

    return {"veins": veins, "scales": scales, "spots": spots}.get(name)


class _Canvas:
    """A square of pixels. Positions are complex numbers: a body has length 1 and points to 1."""

    def __init__(self, scale: float, angle: float) -> None:
        side = round(scale * _REACH)
        self._scale = scale
        self._turn = cmath.rect(1, angle)
        offsets = ((np.arange(side) - side / 2) / scale).astype(np.float32)
        self._places = (offsets + 1j * offsets[:, None]) * self._turn.conjugate()
        self._height = np.zeros((side, side), dtype=np.float32)
        # Red, green, blue and opacity.
        self._layers = np.zeros((side, side, 4), dtype=np.float32)

    def add(
        self,
        centre: complex,
        radii: tuple[float, float],
        colour: Pixels,
        pattern: Pattern | None = None,
        surface: Surface = _PLAIN,
        tilt: float = 0.0,
    ) -> None:
        """Add an ellipsoid, or a flat ellipse over the existing parts."""
        middle = centre * self._turn * self._scale
        reach = max(radii) * 1.15 * self._scale + 2
        spans = [len(self._places) / 2 + at for at in (middle.imag, middle.real)]
        place = tuple(slice(max(0, int(at - reach)), int(at + reach) + 1) for at in spans)
        there = (self._places[place] - complex(centre)) * cmath.rect(1, -tilt)
        u = there.real / radii[0]
        # A left wing is the mirror image of a right one.
        v = math.copysign(1, tilt) * there.imag / (radii[1] * (1 + surface.taper * u))
        away = np.hypot(u, v)
        cover = np.clip((1 - away) * min(radii) * self._scale + 0.5, 0, 1)
        if surface.dome:
            height = surface.dome * radii[1] * np.sqrt(np.maximum(1 - away**2, 0)) + 0.04
            self._height[place] = np.where(cover > 0, height, self._height[place])
        tone, opacity = np.asarray(colour, np.float32), surface.opacity * cover
        if pattern:
            dark = pattern(u, v)
            tone = tone + (_DARK - tone) * dark[..., None]
            opacity = cover * np.maximum(surface.opacity, 0.7 * dark)
        layers = self._layers[place]
        whole = np.maximum(opacity + layers[..., 3] * (1 - opacity), 1e-6)
        layers[..., :3] += (tone - layers[..., :3]) * (opacity / whole)[..., None]
        layers[..., 3] = whole

    def limb(self, start: complex, segments: Iterable[Segment], colour: Pixels) -> None:
        """Add a jointed limb of slender ellipsoids."""
        for heading, length, width in segments:
            half = cmath.rect(length / 2, heading)
            radii = (length / 2 + width * 0.4, width)
            self.add(start + half, radii, colour, tilt=float(heading))
            start += 2 * half

    def picture(self, gloss: float, rng: np.random.Generator) -> Image.Image:
        """Return the drawing, lit from the upper left and cropped to its extent."""
        rows, columns = (np.flatnonzero(self._layers[..., 3].max(axis) > 0.02) for axis in (1, 0))
        place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        height, layers = self._height[place], self._layers[place]
        # Bristles and fluid make every surface slightly rough.
        rough = smooth_noise(rng, height.shape, 2.5, 0.16) + smooth_noise(rng, height.shape, 8, 0.3)
        down, across = np.gradient(height * self._scale * 0.8 + rough * (height > 0.05))
        down, across = np.clip(down, -2.5, 2.5), np.clip(across, -2.5, 2.5)
        steep = 1 / np.sqrt(1 + down**2 + across**2)
        lit = (across * _LIGHT[0] + down * _LIGHT[1] + _LIGHT[2]) * steep
        mirrored = (across * _HALFWAY[0] + down * _HALFWAY[1] + _HALFWAY[2]) * steep
        shade = (0.5 + 0.62 * np.clip(lit, 0, 1)) * (1 + 0.25 * rough)
        highlight = np.clip(mirrored, 0, 1) ** 40 * gloss * 110 * (height > 0)
        layers[..., :3] = layers[..., :3] * shade[..., None] + highlight[..., None]
        layers[..., 3] *= 255
        return Image.fromarray(np.clip(layers, 0, 255).astype(np.uint8))
