"""Declare the build and the colours of each group of arthropods, as numbers to draw from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Colour = tuple[int, int, int]
Surface = Literal["glass", "scales", "leather", "elytra", "spotted"]


@dataclass(frozen=True, slots=True)
class Wing:
    """A pair of wings or of elytra; lengths are shares of the body's length."""

    length: float
    breadth: float
    base: float  # where along the body it is attached; the middle of the body is 0
    spread: tuple[float, float]  # least and largest angle to the rear of the body, in radians
    surface: Surface = "glass"
    colour: Colour | None = (150, 142, 128)  # none of its own: that of the body


@dataclass(frozen=True, slots=True)
class Form:
    """A body; lengths are shares of its length, and head, thorax and abdomen have half-axes."""

    head: tuple[float, float]
    thorax: tuple[float, float]
    abdomen: tuple[float, float]
    colours: tuple[Colour, ...]  # one is chosen for each specimen
    waist: float = 0.0  # between thorax and abdomen, which are merged below 0
    legs: int = 3  # pairs
    leg: float = 0.5
    width: float = 0.04  # of a leg
    hind: float = 1.3  # the hindmost legs as a multiple of the others
    antenna: float = 0.3
    eye: float = 0.05
    eyes: Colour = (50, 30, 28)
    rings: int = 5  # around the abdomen
    gloss: float = 0.35
    wings: tuple[Wing, ...] = ()  # the lowest first


FORMS: Final[dict[str, Form]] = {
    "fly": Form(
        (0.11, 0.15), (0.20, 0.17), (0.27, 0.16),
        ((64, 52, 44), (112, 84, 50), (150, 118, 62), (58, 66, 58), (52, 60, 74)),
        antenna=0.07, eye=0.095, eyes=(112, 40, 30), waist=-0.02,
        wings=(Wing(0.86, 0.31, 0.12, (0.25, 0.95)),),
    ),
    "midge": Form(
        (0.08, 0.09), (0.17, 0.13), (0.36, 0.085),
        ((176, 144, 74), (132, 98, 58), (188, 174, 96), (140, 150, 98), (108, 78, 58)),
        leg=0.85, width=0.026, rings=7, waist=-0.02, wings=(Wing(0.74, 0.2, 0.14, (0.45, 1.35)),),
    ),
    "wasp": Form(
        (0.10, 0.14), (0.20, 0.13), (0.25, 0.12),
        ((44, 36, 34), (58, 44, 36), (150, 86, 36), (40, 50, 58), (168, 116, 44)),
        waist=0.07, width=0.034, antenna=0.5, eye=0.06, gloss=0.6, rings=4,
        wings=(Wing(0.54, 0.17, 0.06, (0.4, 1.0)), Wing(0.84, 0.25, 0.12, (0.55, 1.3))),
    ),
    "ant": Form(
        (0.15, 0.14), (0.20, 0.09), (0.22, 0.15),
        ((52, 36, 30), (140, 76, 38), (34, 30, 30), (104, 58, 38)),
        waist=0.09, leg=0.6, width=0.034, antenna=0.42, eye=0.035, gloss=0.7, rings=3,
    ),
    "bug": Form(
        (0.10, 0.16), (0.15, 0.20), (0.36, 0.19),
        ((132, 160, 70), (172, 150, 80), (116, 98, 58), (172, 184, 108), (100, 74, 48)),
        leg=0.4, hind=1.6, waist=-0.08, gloss=0.45,
        wings=(Wing(0.78, 0.25, 0.20, (0.05, 0.2), "leather", (150, 150, 90)),),
    ),
    "moth": Form(
        (0.09, 0.10), (0.18, 0.13), (0.36, 0.10),
        ((146, 126, 100), (110, 98, 86), (178, 158, 126)),
        leg=0.4, antenna=0.46, waist=-0.04, gloss=0.15,
        wings=(
            Wing(0.78, 0.42, 0.08, (0.7, 1.0), "scales", (170, 156, 134)),
            Wing(0.98, 0.44, 0.20, (1.2, 1.65), "scales", (148, 124, 96)),
        ),
    ),
    "beetle": Form(
        (0.10, 0.14), (0.13, 0.21), (0.35, 0.26),
        ((74, 44, 28), (40, 36, 36), (142, 78, 34), (40, 66, 58), (56, 60, 96), (168, 120, 66)),
        waist=-0.05, leg=0.42, width=0.05, eye=0.045, gloss=0.9,
        wings=(Wing(0.76, 0.29, 0.26, (0.05, 0.12), "elytra", None),),
    ),
    "ladybird": Form(
        (0.09, 0.14), (0.12, 0.24), (0.38, 0.36), ((196, 58, 32), (206, 120, 36), (214, 168, 70)),
        waist=-0.08, leg=0.28, width=0.05, antenna=0.14, gloss=1.0,
        wings=(Wing(0.84, 0.42, 0.32, (0.04, 0.12), "spotted", None),),
    ),
    "lacewing": Form(
        (0.08, 0.09), (0.16, 0.09), (0.38, 0.06),
        ((150, 178, 92), (166, 148, 92), (172, 170, 148)),
        leg=0.42, width=0.026, antenna=0.7, eye=0.055, eyes=(168, 128, 44), rings=8,
        wings=(
            Wing(0.98, 0.3, 0.10, (0.3, 0.6), "glass", (156, 164, 132)),
            Wing(1.06, 0.34, 0.18, (0.65, 1.1), "glass", (156, 164, 132)),
        ),
    ),
    "springtail": Form(
        (0.13, 0.12), (0.22, 0.13), (0.36, 0.15),
        ((182, 166, 142), (116, 116, 142), (196, 174, 114), (90, 82, 112)),
        waist=-0.12, leg=0.26, hind=1.0, antenna=0.34, eye=0.03,
    ),
    "spider": Form(
        (0.21, 0.18), (0.08, 0.13), (0.34, 0.28),
        ((146, 108, 70), (84, 64, 50), (176, 148, 104), (66, 54, 48)),
        legs=4, leg=0.9, width=0.055, hind=1.0, antenna=0.18, eye=0.026, rings=4, waist=-0.02,
    ),
    "mite": Form(
        (0.11, 0.12), (0.17, 0.22), (0.42, 0.36),
        ((186, 66, 38), (150, 92, 52), (176, 132, 82), (120, 64, 42)),
        legs=4, leg=0.4, width=0.06, hind=1.0, antenna=0.1, eye=0.02, rings=0, gloss=0.8,
        waist=-0.3,
    ),
}  # fmt: skip
