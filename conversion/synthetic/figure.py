"""Draw a specimen: solids in a map of heights that is lit as a whole, and wings over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conversion.synthetic.forms import Form, Wing

Pixels = NDArray[np.floating[Any]]
Point = tuple[float, float]
Shade = Callable[[Pixels, Pixels], Pixels]

_REACH: Final = 3.2  # the side of the canvas in lengths of the body: antennae and legs need room
_LIGHT: Final = (0.42, 0.52, 0.74)
_HALFWAY: Final = (0.22, 0.28, 0.93)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell: float, spread: float
) -> Pixels:
    """Noise around 0 that changes over ``cell`` pixels.

    Args:
        rng: The source of chance.
        shape: Height and width in pixels.
        cell: The distance between independent values, in pixels.
        spread: The standard deviation of these values.
    """
    rows, columns = (max(2, round(side / cell)) for side in shape)
    coarse = Image.fromarray(rng.normal(0, spread, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.float32)


def draw_figure(form: Form, length: float, rng: np.random.Generator) -> Image.Image:
    """Draw a specimen alone, in any direction, on a transparent ground.

    Args:
        form: How it is built.
        length: The length of its body in pixels.
        rng: What makes it differ from others of its form.
    """
    canvas = _Canvas(length, float(rng.uniform(0, 2 * math.pi)), rng)
    body = np.array(form.colours[int(rng.integers(len(form.colours)))], dtype=np.float32)
    body = np.clip(body * rng.normal(1, 0.09) + rng.normal(0, 7, 3), 18, 235)
    _draw_limbs(canvas, form, body * 0.85 + np.array([14, 10, 4]), rng)
    _draw_body(canvas, form, body, rng)
    canvas.light()
    for wing in form.wings:
        spread = float(rng.uniform(*wing.spread))
        tint = np.array(wing.colour) * rng.normal(1, 0.1) + rng.normal(0, 8, 3)
        pattern = int(rng.integers(1 << 32))
        for side in (-1, 1):
            _draw_wing(canvas, wing, side, spread + float(rng.normal(0, 0.05)), tint, pattern)
    return canvas.picture()


class _Canvas:
    """A square of pixels; the body is one unit long and its head points to +x.

    Args:
        scale: Pixels to the unit.
        angle: The direction of the head, in radians.
        rng: The source of chance for textures.
    """

    def __init__(self, scale: float, angle: float, rng: np.random.Generator) -> None:
        side = round(scale * _REACH)
        self.scale = scale
        self._rng = rng
        self._turn = (math.cos(angle), math.sin(angle))
        offsets = ((np.arange(side) - side / 2) / scale).astype(np.float32)
        across, down = offsets[None, :], offsets[:, None]
        self._x = across * self._turn[0] + down * self._turn[1]
        self._y = down * self._turn[0] - across * self._turn[1]
        self._height = np.zeros((side, side), dtype=np.float32)
        self._gloss = np.zeros_like(self._height)
        self._alpha = np.zeros_like(self._height)
        self._colour = np.zeros((side, side, 3), dtype=np.float32)

    def window(self, centre: Point, reach: float) -> tuple[Any, Pixels, Pixels]:
        """The pixels around a point: their place, and where they are on the body."""
        x, y = self._pixel(centre)
        side, span = len(self._height), reach * self.scale + 2
        place = tuple(
            slice(max(0, int(side / 2 + at - span)), max(0, int(side / 2 + at + span) + 1))
            for at in (y, x)
        )
        return place, self._x[place] - np.float32(centre[0]), self._y[place] - np.float32(centre[1])

    def ellipsoid(  # noqa: PLR0913 - all that is seen of a solid
        self,
        centre: Point,
        radii: Point,
        colour: Pixels,
        *,
        tilt: float = 0.0,
        gloss: float = 0.3,
        dome: float = 1.0,
        shade: Shade | None = None,
    ) -> None:
        """Add a rounded solid; ``shade`` tells how dark it is, from 0 to 1, along and across it."""
        place, x, y = self.window(centre, max(radii) * 1.1)
        cosine, sine = math.cos(tilt), math.sin(tilt)
        along, across = (x * cosine + y * sine) / radii[0], (y * cosine - x * sine) / radii[1]
        away = np.hypot(along, across)
        height = dome * radii[1] * np.sqrt(np.maximum(1 - away**2, 0)) + 0.04
        tone = np.broadcast_to(colour, (*away.shape, 3))
        if shade:
            dark = shade(along, across)[..., None]
            tone = tone * (1 - dark) + np.array([30, 22, 18]) * dark
        self._add(place, height, (1 - away) * min(radii), tone, gloss)

    def limb(
        self, joints: Sequence[Point], radii: Sequence[float] | Pixels, colour: Pixels
    ) -> None:
        """Add a jointed limb that tapers from joint to joint."""
        for (start, end), (thick, thin) in zip(pairwise(joints), pairwise(radii), strict=True):
            step = (end[0] - start[0], end[1] - start[1])
            length = math.hypot(*step) or 1e-6
            middle = (start[0] + step[0] / 2, start[1] + step[1] / 2)
            place, x, y = self.window(middle, length / 2 + max(thick, thin))
            along = (x * step[0] + y * step[1]) / length**2
            share = np.minimum(np.maximum(along + 0.5, 0), 1)
            radius = thick + (thin - thick) * share
            away = np.hypot(x - (share - 0.5) * step[0], y - (share - 0.5) * step[1])
            height = np.sqrt(np.maximum(radius**2 - away**2, 0))
            self._add(place, height, radius - away, colour, 0.2)

    def _add(
        self, place: Any, height: Pixels, inside: Pixels, colour: Pixels, gloss: float
    ) -> None:
        cover = np.minimum(np.maximum(inside * self.scale + 0.5, 0), 1)
        above = np.where(height >= self._height[place], cover, 0)
        self._height[place] = np.maximum(self._height[place], height * (cover > 0))
        self._gloss[place] += (gloss - self._gloss[place]) * above
        self._colour[place] += (colour - self._colour[place]) * above[..., None]
        # Light passes through what is thin.
        dense = cover * (0.72 + 0.28 * np.minimum(height * self.scale / 4, 1))
        self._alpha[place] = np.maximum(self._alpha[place], dense)

    def light(self) -> None:
        """Light all solids from the upper left."""
        rows, columns = (np.flatnonzero(self._alpha.any(axis=axis)) for axis in (1, 0))
        place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        height = self._height[place]
        # Bristles and fluid: a surface is never quite smooth.
        rough = smooth_noise(self._rng, height.shape, 2.5, 0.16)
        rough = rough + smooth_noise(self._rng, height.shape, 8, 0.35)
        down, across = np.gradient(height * self.scale * 0.8 + rough * (height > 0.05))
        down, across = np.clip(down, -2.5, 2.5), np.clip(across, -2.5, 2.5)
        steep = 1 / np.sqrt(1 + down**2 + across**2)
        lit = (across * _LIGHT[0] + down * _LIGHT[1] + _LIGHT[2]) * steep
        mirrored = (across * _HALFWAY[0] + down * _HALFWAY[1] + _HALFWAY[2]) * steep
        uneven = 1 + 0.25 * rough + smooth_noise(self._rng, height.shape, 14, 0.08)
        colour = self._colour[place]
        colour *= ((0.5 + 0.62 * np.clip(lit, 0, 1)) * uneven)[..., None]
        highlight = np.clip(mirrored, 0, 1) ** 40 * self._gloss[place] * 110
        colour += highlight[..., None] * np.array([0.9, 0.96, 1.0], dtype=np.float32)

    def cover(self, place: Any, inside: Any, colour: Pixels, alpha: Pixels) -> None:
        """Lay something flat over what is there, opaque where ``alpha`` is 1."""
        below, colours = self._alpha[place], self._colour[place]
        whole = alpha + below[inside] * (1 - alpha)
        colours[inside] += (colour - colours[inside]) * (alpha / whole)[:, None]
        below[inside] = whole

    def picture(self) -> Image.Image:
        """Everything drawn, cut to its extent."""
        layers = np.dstack([self._colour, self._alpha * 255])
        whole = Image.fromarray(np.clip(layers, 0, 255).astype(np.uint8))
        return whole.crop(whole.getchannel("A").getbbox())

    def _pixel(self, point: Point) -> Point:
        """Where a point of the body is, from the middle of the canvas in pixels."""
        (x, y), (cosine, sine) = point, self._turn
        return self.scale * (x * cosine - y * sine), self.scale * (x * sine + y * cosine)


def _places(form: Form) -> tuple[float, float, float]:
    """Where head, thorax and abdomen have their middles, along the body."""
    head = 0.5 - form.head[0]
    thorax = head - (form.head[0] + form.thorax[0]) * 0.92
    return head, thorax, thorax - (form.thorax[0] + form.abdomen[0]) * 0.88 - form.waist


def _draw_limbs(canvas: _Canvas, form: Form, colour: Pixels, rng: np.random.Generator) -> None:
    head, thorax, abdomen = _places(form)
    front = thorax + form.thorax[0] * 0.6
    rear = abdomen - form.abdomen[0] * 0.8 if form.legs > 4 else thorax - form.thorax[0] * 0.7
    thickness = np.array([0.5, 0.58, 0.34, 0.24, 0.13]) * form.width
    for side in (-1, 1):
        for pair in range(form.legs):
            share = pair / (form.legs - 1)
            last = share == 1 and form.hind > 1
            reach = form.leg * (form.hind if last else 1) * float(rng.uniform(0.85, 1.1))
            heading = 0.7 + 1.65 * share if form.legs <= 4 else 1.57
            heading += float(rng.normal(0, 0.18))
            bends = np.cumsum([heading, rng.normal(0.5, 0.3), rng.normal(0.3, 0.25), 0.2])
            hip = (front + (rear - front) * share, side * form.thorax[1] * 0.6)
            joints = _path(hip, bends, [0.42, 0.38, 0.16, 0.12], reach, side)
            stout = np.array([1, 1.9, 1, 1, 1]) if form.hind >= 2 and last else 1.0
            canvas.limb(joints, thickness * stout, colour)
        bends = rng.uniform(0.15, 0.6) + np.arange(7) * rng.normal(0.1, 0.07)
        root = (head + form.head[0] * 0.7, side * form.head[1] * 0.3)
        joints = _path(root, bends, [1 / 7] * 7, form.antenna, side)
        beads = np.linspace(0.4, 0.25, 8) * np.array([1.2, 1.4] + [1, 0.8] * 3) * form.width
        canvas.limb(joints, np.maximum(beads, 0.007), colour * 0.85)


def _path(
    start: Point,
    headings: Sequence[float] | Pixels,
    shares: Sequence[float],
    reach: float,
    side: int,
) -> list[Point]:
    """The joints of a limb on one side of the body."""
    joints = [start]
    for heading, share in zip(headings, shares, strict=True):
        x, y = joints[-1]
        step = reach * share
        joints.append((x + step * math.cos(heading), y + side * step * math.sin(heading)))
    return joints


def _draw_body(canvas: _Canvas, form: Form, colour: Pixels, rng: np.random.Generator) -> None:
    head, thorax, abdomen = _places(form)
    bend = float(rng.normal(0, 0.12)) if form.legs <= 4 and not form.elytra else 0.0
    sway = -math.tan(bend) * form.abdomen[0]
    pale = colour + (np.array([214, 184, 128]) - colour) * rng.uniform(0, 0.4)
    depth = float(rng.uniform(0.25, 0.65))

    def rings(along: Pixels, across: Pixels) -> Pixels:
        phase = (along + 0.15 * across**2) * form.rings * math.pi
        return depth * np.clip(np.cos(phase) * 1.6 - 0.5, 0, 1)

    def stripes(along: Pixels, across: Pixels) -> Pixels:
        return depth * 0.7 * np.clip(np.cos(across * 9) * 1.5 - 0.4, 0, 1) * (along > -0.6)

    if form.waist > 0:
        canvas.limb([(thorax, 0), (abdomen, sway)], [0.04, 0.035], colour)
    canvas.ellipsoid((abdomen, sway), form.abdomen, pale, tilt=bend, gloss=form.gloss,
                     shade=rings if form.rings else None)  # fmt: skip
    canvas.ellipsoid((thorax, 0), form.thorax, colour, gloss=form.gloss, shade=stripes)
    canvas.ellipsoid((head, 0), form.head, colour * 0.85, gloss=form.gloss)
    eye = np.array(form.eye_colour, dtype=np.float32)
    for side in (-1, 1):
        place = (head + form.head[0] * 0.2, side * form.head[1] * 0.75)
        canvas.ellipsoid(place, (form.eye, form.eye * 0.8), eye, gloss=0.7)
    along, across = form.abdomen
    for side in (-1, 1) if form.elytra else ():
        canvas.ellipsoid(
            (abdomen + along * 0.04, side * across * 0.46),
            (along * 1.04, across * 0.58),
            colour,
            tilt=side * 0.06,
            gloss=form.gloss,
            dome=2.2,
            shade=_spots if form.spots else None,
        )


def _spots(along: Pixels, across: Pixels) -> Pixels:
    """The spots of a ladybird on one of its elytra."""
    dark = np.zeros_like(along)
    for x, y in ((0.5, 0.1), (0.05, -0.5), (0.0, 0.55), (-0.5, 0.0)):
        away = np.hypot(along - x, (across - y) * 0.6)
        dark = np.maximum(dark, np.clip((0.2 - away) * 14, 0, 0.9))
    return dark


def _draw_wing(
    canvas: _Canvas, wing: Wing, side: int, spread: float, tint: Pixels, pattern: int
) -> None:
    rng = np.random.default_rng(pattern)
    cosine, sine = math.cos(math.pi - spread), math.sin(math.pi - spread)
    half = wing.length / 2
    middle = (wing.base + half * cosine, side * (0.07 + half * sine))
    place, x, y = canvas.window(middle, half * 1.1)
    u = (x * cosine + y * side * sine) / wing.length + 0.5
    # Positive towards the leading edge.
    v = (x * sine - y * side * cosine) / wing.breadth
    swell = np.abs(np.sin(math.pi * np.clip(u, 0, 1) ** (2 if wing.surface == "scales" else 1.2)))
    fore, aft = 0.34 * swell**0.6, -0.66 * swell ** (0.9 if wing.surface == "scales" else 0.65)
    edge = np.minimum(fore - v, v - aft) * wing.breadth
    alpha = np.clip(edge * canvas.scale + 0.5, 0, 1) * np.clip(u * 12, 0, 1) * (u < 1)
    inside = alpha > 0
    shape = u.shape
    u, edge, alpha = u[inside], edge[inside], alpha[inside]
    width = (fore - aft)[inside]
    leaf = (v - aft)[inside] / np.maximum(width, 1e-3)  # from the rear edge, 0, to the leading, 1
    if wing.surface == "glass":
        # Veins fan out from the base, over a film that shimmers.
        gaps = [edge / 0.012]
        for end, power in ((0.93, 0.25), (0.72, 0.6), (0.42, 1.1), (0.14, 0.8)):
            path = 0.85 + (end - 0.85) * u**power
            gaps.append((leaf - path) * width * wing.breadth / 0.008)
        vein = np.exp(-(np.abs(gaps).min(axis=0) ** 2))[:, None]
        phase = u[:, None] * 9 + leaf[:, None] * 5 + np.array([0, 2.1, 4.2])
        colour = (tint + 16 + 15 * np.sin(phase)) * (1 - vein) + tint * 0.4 * vein
        alpha = alpha * (0.26 + 0.34 * vein[:, 0])
    else:
        bend = 1.2 * np.sin(leaf * rng.uniform(4, 8))
        waves = np.sin(u * rng.uniform(14, 24) + bend + rng.uniform(0, 6))
        grain = smooth_noise(rng, shape, 2, 0.06)[inside]
        spot = np.clip((0.06 - np.hypot(u - 0.55, (leaf - 0.55) * 0.4)) * 30, 0, 1)
        rim = np.exp(-((edge / 0.03) ** 2))
        tone = (1 + 0.18 * np.clip(2 * waves, -1, 1) + grain) * (1 - 0.55 * spot) * (1 - 0.3 * rim)
        colour = tint * tone[:, None]
        alpha = alpha * (0.95 if wing.surface == "scales" else 0.72)
    canvas.cover(place, inside, colour, alpha)
