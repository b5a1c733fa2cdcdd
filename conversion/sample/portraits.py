"""Drawing the photographs of a release, and keeping them for the archives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from conversion.sample import noise
from conversion.sample.forms import FORMS
from conversion.sample.options import SampleOptions
from conversion.sample.package import Body, body_of, encode, picture_of
from conversion.sample.records import Frames
from conversion.sample.specimen import FULL_SIZE, TINY_SIZE, photograph, tiny_photograph
from conversion.sample.store import BodyStore
from conversion.sample.workers import Workers

_PER_TASK: Final = 4
_TINY_PER_TASK: Final = 256


@dataclass(frozen=True, slots=True)
class Sitting:
    """Some photographs to draw.

    Attributes:
        forms: The forms of the specimens.
        seeds: What makes them differ.
        packages: The packages that want a picture of each.
        pack: Whether the images will go into zips.
        tiny: Whether the photographs are a few pixels in size.
    """

    forms: tuple[str, ...]
    seeds: tuple[int, ...]
    packages: tuple[str, ...]
    pack: bool
    tiny: bool


@dataclass(frozen=True, slots=True)
class Portrait:
    """A photograph as the packages need it.

    Attributes:
        box: Left, top, right and bottom of the crop, in pixels.
        pixels: The pixels that show the organism.
        bodies: The image of each package, in the order of the sitting.
    """

    box: tuple[int, int, int, int]
    pixels: int
    bodies: tuple[Body, ...]


def draw(sitting: Sitting) -> list[Portrait]:
    """Draw and compress some photographs.

    Args:
        sitting: Which ones.
    """
    finished = []
    for form, seed in zip(sitting.forms, sitting.seeds, strict=True):
        taken = tiny_photograph(seed) if sitting.tiny else photograph(form, seed)
        bodies = tuple(
            body_of(encode(picture_of(package, taken, tiny=sitting.tiny)), pack=sitting.pack)
            for package in sitting.packages
        )
        finished.append(Portrait(taken.box, taken.pixels, bodies))
    return finished


def draw_all(
    options: SampleOptions,
    forms: NDArray[np.uint8],
    workers: Workers,
    stores: Mapping[str, BodyStore],
) -> Iterator[Frames]:
    """Draw every photograph of a release into the stores of its packages.

    Args:
        options: The release.
        forms: The form of every specimen that sits for a portrait.
        workers: Who draws.
        stores: Where the images of each package go.

    Yields:
        The frames of the photographs, some at a time, in order.
    """
    for portraits in workers.map(draw, _sittings(options, forms, tuple(stores))):
        for portrait in portraits:
            for store, body in zip(stores.values(), portrait.bodies, strict=True):
                store.add(body)
        yield Frames(
            TINY_SIZE if options.tiny else FULL_SIZE,
            np.array([portrait.box for portrait in portraits], dtype=np.int32),
            np.array([portrait.pixels for portrait in portraits], dtype=np.int32),
        )
    for store in stores.values():
        store.flush()


def _sittings(
    options: SampleOptions, forms: NDArray[np.uint8], packages: tuple[str, ...]
) -> Iterator[Sitting]:
    names = tuple(FORMS)
    step = _TINY_PER_TASK if options.tiny else _PER_TASK
    for start in range(0, len(forms), step):
        some = forms[start : start + step].tolist()
        index = np.arange(start, start + len(some), dtype=np.int64)
        yield Sitting(
            forms=tuple(names[form] for form in some),
            seeds=tuple(noise.bits(options.seed, "drawing", index).tolist()),
            packages=packages,
            pack=options.layout != "folder",
            tiny=options.tiny,
        )
