"""A photograph of one specimen in its dish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from conversion.sample import dish
from conversion.sample.forms import FORMS, Form, Wings
from conversion.sample.pen import Colour, Pen, Point, mixed

FULL_SIZE: Final = (1024, 768)
TINY_SIZE: Final = (16, 12)

_SUPERSAMPLING: Final = 2
_REACH: Final = 3.0  # side of the canvas in lengths of the body; feelers and legs need room
_VISIBLE: Final = 60
_BLACK: Final = (12, 10, 10)


@dataclass(frozen=True, slots=True)
class Photograph:
    """One picture and where the organism is on it.

    Attributes:
        picture: The whole photograph.
        box: Left, top, right and bottom of the crop, in pixels; it may pass the border.
        pixels: How many pixels show the organism.
    """

    picture: Image.Image
    box: tuple[int, int, int, int]
    pixels: int


def photograph(form: str, seed: int) -> Photograph:
    """Draw a specimen.

    Args:
        form: A key of ``FORMS``.
        seed: What makes it differ from others of its form.
    """
    rng = np.random.default_rng(seed)
    built = FORMS[form]
    length = float(rng.triangular(built.size[0], sum(built.size) * 0.42, built.size[1]))
    figure = _figure(built, length, rng)
    mask = figure.getchannel("A")
    extent = mask.point([0] * _VISIBLE + [255] * (256 - _VISIBLE)).getbbox()
    assert extent is not None
    middle = _middle(rng)
    left = round(middle[0] - (extent[0] + extent[2]) / 2)
    top = round(middle[1] - (extent[1] + extent[3]) / 2)
    picture = dish.ground(FULL_SIZE, rng)
    _shade(picture, mask, (left, top))
    picture.paste(figure, (left, top), mask)
    picture = _develop(picture)
    pixels = sum(mask.histogram()[_VISIBLE:])
    return Photograph(picture, _box(extent, (left, top), rng), pixels)


def tiny_photograph(seed: int) -> Photograph:
    """Make a photograph of a few pixels, where only the number of images matters.

    Args:
        seed: What makes it differ from others.
    """
    rng = np.random.default_rng(seed)
    ground, body = rng.integers(150, 210, 3).tolist(), rng.integers(20, 140, 3).tolist()
    picture = Image.new("RGB", TINY_SIZE, tuple(ground))
    width, height = int(rng.integers(4, 9)), int(rng.integers(4, 7))
    left, top = int(rng.integers(0, 16 - width)), int(rng.integers(0, 12 - height))
    picture.paste(tuple(body), (left + 1, top + 1, left + width - 1, top + height - 1))
    box = (left, top, left + width, top + height)
    return Photograph(picture, box, (width - 2) * (height - 2))


def _middle(rng: np.random.Generator) -> Point:
    """Specimens lie near the middle; a few have drifted to the border."""
    if rng.random() < 0.03:
        x = FULL_SIZE[0] * float(rng.choice([0.05, 0.95]))
        return x, FULL_SIZE[1] * float(rng.uniform(0.25, 0.75))
    x, y = (float(rng.normal(0.5, 0.05)) * side for side in FULL_SIZE)
    return x, y


def _box(
    extent: tuple[int, int, int, int], offset: tuple[int, int], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """The organism with a margin of a fifth of its longer side, give or take."""
    longer = max(extent[2] - extent[0], extent[3] - extent[1])
    margins = rng.uniform(0.14, 0.26, 4) * longer
    return (
        round(offset[0] + extent[0] - margins[0]),
        round(offset[1] + extent[1] - margins[1]),
        round(offset[0] + extent[2] + margins[2]),
        round(offset[1] + extent[3] + margins[3]),
    )


def _shade(picture: Image.Image, mask: Image.Image, offset: tuple[int, int]) -> None:
    """The soft shadow that a specimen throws on its dish."""
    shadow = mask.resize((mask.width // 4, mask.height // 4)).filter(ImageFilter.GaussianBlur(3))
    shadow = shadow.resize(mask.size).point([level // 5 for level in range(256)])
    picture.paste((70, 74, 84), (offset[0] + 3, offset[1] + 5), shadow)


def _develop(picture: Image.Image) -> Image.Image:
    grained = np.asarray(picture, dtype=np.float32) + dish.grain(FULL_SIZE)[..., None]
    return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))


def _figure(built: Form, length: float, rng: np.random.Generator) -> Image.Image:
    """The specimen alone, on a transparent ground, turned any way."""
    side = round(length * _REACH) * _SUPERSAMPLING
    pen = Pen(side, length * _SUPERSAMPLING, float(rng.uniform(0, 2 * math.pi)))
    colour = built.colours[int(rng.integers(len(built.colours)))]
    colour = mixed(colour, _some_colour(rng), 0.12)
    limbs = mixed(colour, (96, 74, 50), 0.35)
    for side_sign in (-1, 1):
        _legs(pen, built, side_sign, limbs, rng)
        _feeler(pen, built, side_sign, limbs, rng)
    _tail(pen, built, limbs, rng)
    pen.next_layer()
    _body(pen, built, colour, rng)
    for wings in built.wings:
        pen.next_layer()
        tint = mixed(wings.colours[int(rng.integers(len(wings.colours)))], _some_colour(rng), 0.08)
        for side_sign in (-1, 1):
            _wing(pen, wings, side_sign, tint, fringe=built.fringe, rng=rng)
    whole = pen.picture()
    drawn = whole.getbbox()
    assert drawn is not None
    margin = 8 * _SUPERSAMPLING  # the blur spreads a little
    left, top, right, bottom = drawn
    cut = whole.crop((left - margin, top - margin, right + margin, bottom + margin))
    figure = cut.reduce(_SUPERSAMPLING)
    return _textured(figure, rng).filter(ImageFilter.GaussianBlur(0.6))


def _some_colour(rng: np.random.Generator) -> Colour:
    red, green, blue = rng.integers(20, 200, 3).tolist()
    return red, green, blue


def _textured(figure: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Uneven light over the body, as of bristles and fluid."""
    pixels = np.asarray(figure).copy()
    cells = (figure.height // 3, figure.width // 3)
    uneven = Image.fromarray(rng.normal(0, 13, cells).astype(np.float32))
    smooth = np.asarray(uneven.resize(figure.size, Image.Resampling.BICUBIC))
    pixels[..., :3] = np.clip(pixels[..., :3] + smooth[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def _spine(built: Form) -> tuple[float, float, float]:
    """Where head, thorax and abdomen have their middles, along the body."""
    whole = built.head[0] + built.thorax[0] + built.abdomen[0]
    head = whole * 0.88 - built.head[0]
    thorax = head - (built.head[0] + built.thorax[0]) * 0.9
    abdomen = thorax - (built.thorax[0] + built.abdomen[0]) * 0.84 - built.waist
    return head, thorax, abdomen


def _body(pen: Pen, built: Form, colour: Colour, rng: np.random.Generator) -> None:
    head, thorax, abdomen = _spine(built)
    bend = float(rng.normal(0, 0.18)) if built.legs <= 4 else 0.0
    sway = -math.tan(bend) * built.abdomen[0]
    belly = mixed(colour, (206, 176, 120), float(rng.uniform(0, 0.45)))
    if built.waist:
        pen.limb([(thorax, 0), (abdomen, sway)], (0.05, 0.05), colour)
    pen.blob((abdomen, sway), built.abdomen, belly, tilt=bend, gloss=built.gloss)
    ring = mixed(belly, _BLACK, 0.42)
    for number in range(built.bands):
        share = 1.7 * (number + 1) / (built.bands + 1) - 0.85
        breadth = built.abdomen[1] * math.sqrt(1 - share * share)
        centre = (
            abdomen + share * built.abdomen[0] * math.cos(bend),
            sway + share * built.abdomen[0] * math.sin(bend),
        )
        pen.patch(centre, (0.012, breadth * 0.96), ring, 190, tilt=bend)
    pen.blob((thorax, 0), built.thorax, colour, gloss=built.gloss)
    pen.blob((head, 0), built.head, mixed(colour, _BLACK, 0.25), gloss=built.gloss * 0.7)
    for sign in (-1, 1):
        place = (head + built.head[0] * 0.25, sign * built.head[1] * 0.72)
        pen.blob(place, (built.eye, built.eye * 0.85), built.eye_colour, gloss=0.4)
    if built.elytra:
        _elytra(pen, built, abdomen, colour)


def _elytra(pen: Pen, built: Form, abdomen: float, colour: Colour) -> None:
    along, aside = built.abdomen
    for sign in (-1, 1):
        centre = (abdomen + along * 0.06, sign * aside * 0.47)
        pen.blob(centre, (along * 1.02, aside * 0.54), colour, tilt=sign * 0.07, gloss=0.6)
        for groove in (0.3, 0.62):
            y = sign * aside * groove
            line = [(abdomen + along * 0.75, y * 0.9), (abdomen - along * 0.75, y * 0.7)]
            pen.vein(line, mixed(colour, _BLACK, 0.5), 150, 0.01)
    seam = [(abdomen + along, 0.0), (abdomen - along * 0.95, 0.0)]
    pen.vein(seam, _BLACK, 220, 0.014)


def _legs(pen: Pen, built: Form, sign: int, colour: Colour, rng: np.random.Generator) -> None:
    _, thorax, abdomen = _spine(built)
    long_bodied = built.legs > 4
    front = thorax + built.thorax[0] * 0.7
    rear = abdomen - built.abdomen[0] * 0.8 if long_bodied else thorax - built.thorax[0] * 0.8
    for pair in range(built.legs):
        share = pair / (built.legs - 1)
        hip = (front + (rear - front) * share, sign * built.thorax[1] * 0.5)
        heading = 0.75 + 1.6 * share if not long_bodied else 1.57
        heading += float(rng.normal(0, 0.22))
        reach = built.leg * (built.hind if pair == built.legs - 1 else 1.0)
        reach *= float(rng.uniform(0.85, 1.1))
        knee = _step(hip, heading, reach * 0.5, sign)
        heel = _step(knee, heading + float(rng.normal(0.35, 0.35)), reach * 0.45, sign)
        toe = _step(heel, heading + float(rng.normal(0.6, 0.5)), reach * 0.32, sign)
        stout = built.leg_width * (2.2 if built.hind > 2 and pair == built.legs - 1 else 1.0)
        pen.limb([hip, knee], (stout, stout * 0.8), colour)
        pen.limb([knee, heel, toe], (built.leg_width * 0.72, built.leg_width * 0.45), colour)


def _feeler(pen: Pen, built: Form, sign: int, colour: Colour, rng: np.random.Generator) -> None:
    head, _, _ = _spine(built)
    points = [(head + built.head[0] * 0.7, sign * built.head[1] * 0.3)]
    heading = float(rng.uniform(0.15, 0.7))
    for _ in range(5):
        points.append(_step(points[-1], heading, built.antenna / 5, sign))
        heading += float(rng.normal(0.14, 0.16))
    width = built.feeler_width
    pen.limb(points, (width, width * 0.6), mixed(colour, _BLACK, 0.3))


def _tail(pen: Pen, built: Form, colour: Colour, rng: np.random.Generator) -> None:
    if not built.tail:
        return
    _, _, abdomen = _spine(built)
    start = (abdomen - built.abdomen[0] * 0.85, 0.0)
    for spread in (-0.16, 0.16):
        heading = math.pi + spread + float(rng.normal(0, 0.08))
        pen.limb([start, _step(start, heading, built.tail, 1)], (0.022, 0.012), colour)


def _wing(
    pen: Pen, wings: Wings, sign: int, tint: Colour, *, fringe: bool, rng: np.random.Generator
) -> None:
    spread = float(rng.uniform(*wings.spread))
    base = (wings.base, sign * 0.06)
    fore, aft = [], []
    for step in range(13):
        share = step / 12
        # Narrow at the base, widest past the middle, round at the tip.
        breadth = wings.breadth * math.sin(math.pi * share**1.25) ** 0.75 / 2
        fore.append(_across(base, spread, share * wings.length, breadth * 0.8, sign))
        aft.append(_across(base, spread, share * wings.length, -breadth * 1.2, sign))
    dark = mixed(tint, (58, 46, 36), 0.7)
    pen.membrane([*fore, *reversed(aft)], tint, wings.opacity, rim=dark, width=0.012)
    if wings.veined:
        for lean in (0.45, 0.12, -0.25, -0.6):
            vein = [
                _across(base, spread, share * wings.length,
                        lean * wings.breadth * math.sin(math.pi * share * 0.8) / 2, sign)
                for share in (0.05, 0.3, 0.6, 0.93)
            ]  # fmt: skip
            pen.vein(vein, dark, min(255, wings.opacity + 60), 0.008)
    if wings.mottled:
        for _ in range(7):
            along = wings.length * float(rng.uniform(0.3, 0.88))
            aside = wings.breadth * float(rng.normal(0, 0.13))
            spot = _across(base, spread, along, aside, sign)
            size = wings.breadth * float(rng.uniform(0.05, 0.13))
            shade = mixed(tint, (40, 32, 28) if rng.random() < 0.6 else (226, 216, 196), 0.55)
            pen.patch(spot, (size * 1.5, size), shade, 190, tilt=-sign * spread)
    if fringe:
        for step in range(2, 26):
            root = _across(base, spread, wings.length * step / 25, 0.0, sign)
            tip = _across(base, spread, wings.length * (step / 25 + 0.08), -0.12, sign)
            pen.vein([root, tip], dark, 170, 0.006)


def _step(start: Point, heading: float, reach: float, sign: int) -> Point:
    """Where a limb on one side of the body gets to."""
    return (
        start[0] + reach * math.cos(heading),
        start[1] + sign * reach * math.sin(heading),
    )


def _across(base: Point, spread: float, along: float, aside: float, sign: int) -> Point:
    """A point on a wing, from its place along the wing and towards its leading edge."""
    heading = math.pi - spread
    return (
        base[0] + along * math.cos(heading) + aside * math.sin(heading),
        base[1] + sign * (along * math.sin(heading) - aside * math.cos(heading)),
    )
