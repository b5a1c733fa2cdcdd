"""Declare the shape and the colours of each group of arthropods, for drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Surface:
    """The surface of a part of a body."""

    pattern: Literal["plain", "veins", "scales", "spots"] = "plain"
    opacity: float = 1.0  # dark parts of the pattern are more opaque
    dome: float = 1.0  # the height divided by half the breadth
    taper: float = 0.0  # how much wider the end is than the middle, as a share


_GLASS: Final = Surface("veins", opacity=0.28, dome=0, taper=0.35)
_SCALES: Final = Surface("scales", opacity=0.95, dome=0, taper=0.45)
_LEATHER: Final = Surface("scales", opacity=0.75, dome=0, taper=0.15)
_ELYTRA: Final = Surface(dome=1.6)
_SPOTTED: Final = Surface("spots", dome=1.6)


@dataclass(frozen=True, slots=True)
class Wing:
    """A pair of wings or of elytra; lengths are shares of the body's length."""

    length: float
    breadth: float
    base: float  # where along the body it is attached; the middle of the body is 0
    spread: tuple[float, float]  # least and largest angle to the rear of the body, in radians
    surface: Surface = _GLASS
    colour: str | None = "#968e80"  # None: the colour of the body


@dataclass(frozen=True, slots=True)
class Form:
    """A body; lengths are shares of its length, and head, thorax and abdomen have half-axes."""

    head: tuple[float, float]
    thorax: tuple[float, float]
    abdomen: tuple[float, float]
    colours: str  # each specimen has one of them
    waist: float = 0.0  # the length between thorax and abdomen; below 0 they overlap
    legs: int = 3  # the number of pairs
    leg: float = 0.5
    width: float = 0.04  # the width of a leg
    hind: float = 1.3  # the length of the hind legs as a multiple of the other legs
    antenna: float = 0.3
    eye: float = 0.05
    eyes: str = "#321e1c"
    rings: int = 5  # around the abdomen
    gloss: float = 0.35
    wings: tuple[Wing, ...] = ()  # the lowest first


FORMS: Final[dict[str, Form]] = {
    "fly": Form(
        (0.11, 0.15), (0.20, 0.17), (0.27, 0.16), "#40342c #705432 #96763e #3a423a #343c4a",
        antenna=0.07, eye=0.095, eyes="#70281e", waist=-0.02,
        wings=(Wing(0.86, 0.31, 0.12, (0.25, 0.95)),),
    ),
    "midge": Form(
        (0.08, 0.09), (0.17, 0.13), (0.36, 0.085), "#b0904a #84623a #bcae60 #8c9662 #6c4e3a",
        leg=0.85, width=0.026, rings=7, waist=-0.02, wings=(Wing(0.74, 0.2, 0.14, (0.45, 1.35)),),
    ),
    "wasp": Form(
        (0.10, 0.14), (0.20, 0.13), (0.25, 0.12), "#2c2422 #3a2c24 #965624 #28323a #a8742c",
        waist=0.07, width=0.034, antenna=0.5, eye=0.06, gloss=0.6, rings=4,
        wings=(Wing(0.54, 0.17, 0.06, (0.4, 1.0)), Wing(0.84, 0.25, 0.12, (0.55, 1.3))),
    ),
    "ant": Form(
        (0.15, 0.14), (0.20, 0.09), (0.22, 0.15), "#34241e #8c4c26 #221e1e #683a26",
        waist=0.09, leg=0.6, width=0.034, antenna=0.42, eye=0.035, gloss=0.7, rings=3,
    ),
    "bug": Form(
        (0.10, 0.16), (0.15, 0.20), (0.36, 0.19), "#84a046 #ac9650 #74623a #acb86c #644a30",
        leg=0.4, hind=1.6, waist=-0.08, gloss=0.45,
        wings=(Wing(0.78, 0.25, 0.20, (0.05, 0.2), _LEATHER, "#96965a"),),
    ),
    "moth": Form(
        (0.09, 0.10), (0.18, 0.13), (0.36, 0.10), "#927e64 #6e6256 #b29e7e",
        leg=0.4, antenna=0.46, waist=-0.04, gloss=0.15,
        wings=(
            Wing(0.78, 0.42, 0.08, (0.7, 1.0), _SCALES, "#aa9c86"),
            Wing(0.98, 0.44, 0.20, (1.2, 1.65), _SCALES, "#947c60"),
        ),
    ),
    "beetle": Form(
        (0.10, 0.14), (0.13, 0.21), (0.35, 0.26), "#4a2c1c #282424 #8e4e22 #28423a #383c60 #a87842",
        waist=-0.05, leg=0.42, width=0.05, eye=0.045, gloss=0.9,
        wings=(Wing(0.76, 0.29, 0.26, (0.05, 0.12), _ELYTRA, None),),
    ),
    "ladybird": Form(
        (0.09, 0.14), (0.12, 0.24), (0.38, 0.36), "#c43a20 #ce7824 #d6a846",
        waist=-0.08, leg=0.28, width=0.05, antenna=0.14, gloss=1.0,
        wings=(Wing(0.84, 0.42, 0.32, (0.04, 0.12), _SPOTTED, None),),
    ),
    "lacewing": Form(
        (0.08, 0.09), (0.16, 0.09), (0.38, 0.06), "#96b25c #a6945c #acaa94",
        leg=0.42, width=0.026, antenna=0.7, eye=0.055, eyes="#a8802c", rings=8,
        wings=(
            Wing(0.98, 0.3, 0.10, (0.3, 0.6), _GLASS, "#9ca484"),
            Wing(1.06, 0.34, 0.18, (0.65, 1.1), _GLASS, "#9ca484"),
        ),
    ),
    "springtail": Form(
        (0.13, 0.12), (0.22, 0.13), (0.36, 0.15), "#b6a68e #74748e #c4ae72 #5a5270",
        waist=-0.12, leg=0.26, hind=1.0, antenna=0.34, eye=0.03,
    ),
    "spider": Form(
        (0.21, 0.18), (0.08, 0.13), (0.34, 0.28), "#926c46 #544032 #b09468 #423630",
        legs=4, leg=0.9, width=0.055, hind=1.0, antenna=0.18, eye=0.026, rings=4, waist=-0.02,
    ),
    "mite": Form(
        (0.11, 0.12), (0.17, 0.22), (0.42, 0.36), "#ba4226 #965c34 #b08452 #78402a",
        legs=4, leg=0.4, width=0.06, hind=1.0, antenna=0.1, eye=0.02, rings=0, gloss=0.8,
        waist=-0.3,
    ),
}  # fmt: skip
