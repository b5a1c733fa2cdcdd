"""How the members of each group of arthropods look, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from conversion.sample.pen import Colour


@dataclass(frozen=True, slots=True)
class Wings:
    """A pair of wings.

    Attributes:
        length: From base to tip.
        breadth: At the widest.
        base: Where along the body they begin.
        spread: The angle from the body's rear, least and most, in radians.
        opacity: From 0 (glass) to 255.
        colours: Colours they may have.
        mottled: Whether they bear spots.
        veined: Whether they show veins.
    """

    length: float
    breadth: float
    base: float
    spread: tuple[float, float]
    opacity: int
    colours: tuple[Colour, ...]
    mottled: bool = False
    veined: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """The build of a body whose length is 1.

    Attributes:
        size: Length in pixels of a photograph 1,024 wide, least and most.
        head: Half its length and half its breadth.
        thorax: Half its length and half its breadth.
        abdomen: Half its length and half its breadth.
        colours: Colours the body may have.
        legs: How many pairs.
        leg: How far a leg reaches from the body.
        leg_width: Its breadth at the hip.
        wings: Its wings; empty where it has none.
        bands: How many rings its abdomen shows.
        antenna: The length of its feelers.
        feeler_width: Their breadth.
        eye: The radius of its eyes.
        eye_colour: Their colour.
        gloss: How it shines, from 0 to 1.
        elytra: Whether hard wing cases cover its back.
        hind: How much longer the last legs are.
        tail: The length of what it bears at its end.
        fringe: Whether its wings are no more than a fringe.
        waist: How far the abdomen is drawn away from the thorax; below 0 it is merged with it.
    """

    size: tuple[int, int]
    head: tuple[float, float]
    thorax: tuple[float, float]
    abdomen: tuple[float, float]
    colours: tuple[Colour, ...]
    legs: int = 3
    leg: float = 0.4
    leg_width: float = 0.035
    wings: tuple[Wings, ...] = ()
    bands: int = 4
    antenna: float = 0.2
    feeler_width: float = 0.018
    eye: float = 0.045
    eye_colour: Colour = (62, 30, 26)
    gloss: float = 0.3
    elytra: bool = False
    hind: float = 1.25
    tail: float = 0.0
    fringe: bool = False
    waist: float = 0.0


_GLASS: Final = ((172, 176, 176), (164, 162, 152), (150, 142, 128))
_SCALES: Final = ((150, 134, 112), (112, 98, 86), (186, 174, 152), (92, 84, 80), (168, 140, 96))

FORMS: Final[dict[str, Form]] = {
    "fly": Form(
        (110, 220), (0.12, 0.15), (0.20, 0.18), (0.27, 0.17),
        ((48, 44, 42), (88, 72, 48), (134, 108, 52), (62, 54, 50), (44, 50, 46)),
        leg=0.42, leg_width=0.042, antenna=0.08, eye=0.085, eye_colour=(92, 34, 28),
        wings=(Wings(0.86, 0.33, 0.16, (0.3, 1.0), 62, _GLASS),),
    ),
    "midge": Form(
        (110, 210), (0.08, 0.09), (0.17, 0.14), (0.34, 0.085),
        ((150, 116, 62), (104, 78, 50), (168, 150, 84), (128, 136, 92), (84, 62, 48)),
        leg=0.78, leg_width=0.022, antenna=0.26, eye=0.05, eye_colour=(34, 26, 26), bands=7,
        wings=(Wings(0.78, 0.21, 0.18, (0.35, 1.35), 50, _GLASS),),
    ),
    "wasp": Form(
        (90, 210), (0.10, 0.13), (0.20, 0.13), (0.25, 0.12),
        ((34, 30, 30), (46, 38, 34), (122, 70, 32), (30, 36, 42), (150, 100, 36)),
        leg=0.45, leg_width=0.032, antenna=0.48, feeler_width=0.026, eye=0.06,
        eye_colour=(58, 40, 40), waist=0.09, tail=0.16, gloss=0.42,
        wings=(
            Wings(0.82, 0.26, 0.14, (0.5, 1.3), 48, _GLASS),
            Wings(0.52, 0.17, 0.06, (0.35, 1.0), 44, _GLASS),
        ),
    ),
    "bug": Form(
        (110, 220), (0.11, 0.15), (0.17, 0.21), (0.34, 0.20),
        ((112, 138, 62), (150, 130, 70), (98, 84, 54), (154, 164, 96), (86, 66, 46)),
        leg=0.34, leg_width=0.032, antenna=0.3, eye=0.05, hind=1.5, gloss=0.28,
        wings=(
            Wings(0.76, 0.25, 0.20, (0.06, 0.22), 150,
                  ((128, 146, 82), (140, 122, 78), (104, 92, 66)), mottled=True),
        ),
    ),
    "moth": Form(
        (110, 220), (0.09, 0.10), (0.18, 0.13), (0.32, 0.10),
        ((120, 102, 82), (96, 84, 74), (160, 142, 114)),
        leg=0.36, leg_width=0.03, antenna=0.46, eye=0.05, gloss=0.18,
        wings=(
            Wings(0.80, 0.34, 0.10, (0.75, 1.25), 205, _SCALES),
            Wings(0.98, 0.38, 0.20, (1.15, 1.75), 232, _SCALES, mottled=True),
        ),
    ),
    "beetle": Form(
        (90, 220), (0.11, 0.15), (0.13, 0.22), (0.34, 0.27),
        ((58, 36, 24), (34, 30, 30), (112, 62, 28), (40, 50, 44), (136, 40, 26)),
        leg=0.34, leg_width=0.042, antenna=0.26, feeler_width=0.03, eye=0.04, gloss=0.55,
        elytra=True, bands=0,
    ),
    "barklouse": Form(
        (90, 170), (0.16, 0.17), (0.15, 0.13), (0.30, 0.16),
        ((150, 122, 80), (120, 96, 70), (176, 156, 112)),
        leg=0.40, antenna=0.62, eye=0.05, eye_colour=(26, 24, 24), bands=6,
        wings=(Wings(0.92, 0.28, 0.14, (0.16, 0.5), 60, _GLASS),),
    ),
    "thrips": Form(
        (90, 170), (0.09, 0.075), (0.17, 0.10), (0.34, 0.085),
        ((54, 42, 34), (150, 120, 56), (94, 74, 46)),
        leg=0.18, leg_width=0.026, antenna=0.14, feeler_width=0.028, eye=0.03, bands=8,
        fringe=True,
        wings=(Wings(0.60, 0.06, 0.12, (0.12, 0.5), 120, _GLASS, veined=False),),
    ),
    "cricket": Form(
        (150, 260), (0.12, 0.13), (0.17, 0.16), (0.32, 0.15),
        ((98, 72, 44), (70, 52, 38), (128, 112, 62)),
        leg=0.36, leg_width=0.05, antenna=0.75, feeler_width=0.013, eye=0.04, hind=2.1,
        tail=0.24, bands=7, gloss=0.34,
        wings=(Wings(0.55, 0.16, 0.10, (0.05, 0.18), 170, ((104, 84, 54),)),),
    ),
    "lacewing": Form(
        (120, 210), (0.08, 0.09), (0.16, 0.09), (0.36, 0.065),
        ((136, 158, 84), (146, 132, 82), (160, 156, 140)),
        leg=0.36, leg_width=0.022, antenna=0.66, feeler_width=0.013, eye=0.05,
        eye_colour=(140, 104, 40), bands=8,
        wings=(
            Wings(1.0, 0.32, 0.12, (0.30, 0.7), 52, ((176, 184, 168),)),
            Wings(1.06, 0.34, 0.20, (0.65, 1.15), 56, ((176, 186, 166),)),
        ),
    ),
    "mayfly": Form(
        (120, 200), (0.08, 0.10), (0.17, 0.11), (0.34, 0.065),
        ((138, 108, 70), (104, 78, 56)),
        leg=0.38, leg_width=0.022, antenna=0.06, eye=0.065, bands=9, tail=0.85,
        wings=(Wings(0.92, 0.46, 0.16, (0.6, 1.2), 56, ((184, 182, 172),)),),
    ),
    "springtail": Form(
        (100, 200), (0.13, 0.12), (0.22, 0.13), (0.33, 0.15),
        ((158, 146, 128), (104, 104, 122), (172, 152, 104), (76, 70, 92)),
        leg=0.22, leg_width=0.034, antenna=0.32, feeler_width=0.036, eye=0.025,
        eye_colour=(20, 20, 26), bands=6, hind=1.0, tail=0.36, gloss=0.26, waist=-0.08,
    ),
    "globe": Form(
        (90, 150), (0.16, 0.17), (0.14, 0.16), (0.36, 0.33),
        ((170, 156, 78), (126, 88, 110), (148, 116, 72)),
        leg=0.26, leg_width=0.034, antenna=0.40, feeler_width=0.034, eye=0.035,
        eye_colour=(20, 18, 24), bands=0, tail=0.22, gloss=0.34, waist=-0.12,
    ),
    "spider": Form(
        (80, 160), (0.20, 0.18), (0.12, 0.14), (0.34, 0.29),
        ((116, 88, 60), (62, 50, 42), (150, 126, 90), (48, 42, 40)),
        legs=4, leg=0.85, leg_width=0.05, antenna=0.16, feeler_width=0.05, eye=0.024,
        eye_colour=(16, 16, 16), bands=3, hind=1.0, gloss=0.26,
    ),
    "mite": Form(
        (70, 130), (0.12, 0.13), (0.26, 0.29), (0.38, 0.34),
        ((166, 58, 36), (124, 78, 46), (150, 110, 70), (96, 54, 36)),
        legs=4, leg=0.34, leg_width=0.05, antenna=0.08, feeler_width=0.05, eye=0.02,
        bands=0, hind=1.0, gloss=0.5, waist=-0.24,
    ),
    "woodlouse": Form(
        (130, 220), (0.10, 0.15), (0.22, 0.22), (0.36, 0.23),
        ((116, 108, 112), (134, 104, 88)),
        legs=7, leg=0.16, leg_width=0.028, antenna=0.36, feeler_width=0.03, eye=0.02,
        bands=10, hind=1.0, tail=0.10, waist=-0.2,
    ),
    "millipede": Form(
        (190, 300), (0.06, 0.05), (0.22, 0.048), (0.42, 0.052),
        ((120, 92, 66), (82, 64, 54), (154, 112, 60)),
        legs=15, leg=0.09, leg_width=0.013, antenna=0.12, feeler_width=0.014, eye=0.01,
        bands=18, hind=1.0,
    ),
}  # fmt: skip
