"""Decide how a package is derived from another package, as a recipe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.errors import MissingDependency, ReleaseNotFound, UsageError
from bioscan5m_hf.schema.configurations import package_named, resized_name, resized_parts
from bioscan5m_hf.schema.upstream import BBOX_NAME

# Upstream's own quality for the resized packages (UPSTREAM: standard tables at quality 75).
RESIZED_QUALITY: Final = 75
# Upstream does not state the quality of its crops. Deriving encodes images a second time, and at
# quality 90 this loses less than the first encoding did.
CROPPED_QUALITY: Final = 90
FILTER: Final = "catmull-rom"
LIBRARIES: Final = ("simplejpeg", "cykooz-resizer")

ORIGINALS: Final = "original_full"
CROPS: Final = "cropped"

# The expected bytes per pixel, for planning shards before any image is made: upstream's cropped_256
# has 7.6 kB for some 87,000 pixels.
_RESIZED_DENSITY: Final = 0.09
_CROPPED_DENSITY: Final = 0.2
_ASPECT: Final = 4 / 3
_HEADER_BYTES: Final = 600


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to make the images of a package; equal recipes make equal bytes.

    Attributes:
        package: The package to make, which also names its configuration, such as ``cropped_256``.
        source: The package it is made from.
        crop: Whether the bounding box is cut out first.
        short_side: The shorter side in pixels, with the aspect ratio kept; ``None`` if images are
            not resized.
        quality: The JPEG quality, with the standard tables and chroma subsampled 4:2:0.
        filter: The filter of the resizing.
    """

    package: str
    source: str
    crop: bool
    short_side: int | None
    quality: int
    filter: str | None

    def planned_bytes(self, areas: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The expected size of each image in bytes.

        Args:
            areas: The area of each image's box in pixels; 0 if it is not known.
        """
        if self.short_side:
            pixels = self.short_side**2 * _ASPECT
            return np.full(len(areas), round(pixels * _RESIZED_DENSITY) + _HEADER_BYTES)
        expected = np.rint(np.maximum(areas, 0) * _CROPPED_DENSITY).astype(np.int64)
        return expected + _HEADER_BYTES

    @property
    def description(self) -> str:
        """The recipe in words, for the card and the console."""
        parts = [f"made from {self.source}"]
        if self.crop:
            parts.append("cut to upstream's bounding boxes")
        if self.short_side:
            parts.append(f"shorter side {self.short_side} pixels ({self.filter})")
        return f"{', '.join(parts)}, JPEG quality {self.quality}"

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain values, for the manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read a recipe from a manifest.

        Raises:
            TypeError: The values are not a recipe.
        """
        return cls(**values)


def recipe_for(
    package: str, found: Collection[str], *, bbox: bool, source: str | None = None
) -> Recipe:
    """Decide how a package is derived from the packages of a release.

    Args:
        package: The package to make, such as ``cropped_256`` or ``original_128``.
        found: The packages that the release has.
        bbox: Whether it has the bounding boxes.
        source: The package to make it from. By default, upstream's crops are preferred to the
            originals, because they need no boxes and are smaller.

    Raises:
        UsageError: The package cannot be derived, or the release already has it.
        ReleaseNotFound: The source package or the boxes are missing.
    """
    if package in found:
        raise UsageError(
            f"the release has upstream's own {package}, which is not mixed with a derived one",
            fix="convert it without --derive, or derive another with --short-side",
        )
    if package == CROPS:
        kind, short_side = CROPS, None
    elif parts := resized_parts(package):
        kind, short_side = parts
    else:
        raise UsageError(
            f"{package} cannot be derived", fix=f"{CROPS}, original_N and cropped_N can be"
        )
    candidates = [CROPS, ORIGINALS] if kind == CROPS and short_side else [ORIGINALS]
    if source is not None and source not in candidates:
        raise UsageError(
            f"{package} cannot be derived from {source}", fix=f"use {' or '.join(candidates)}"
        )
    candidates = [source] if source else candidates
    chosen = next((name for name in candidates if name in found), None)
    if chosen is None:
        raise ReleaseNotFound(
            f"{package} is derived from {' or '.join(candidates)}, and the release has none",
            fix=f"packages found: {', '.join(found) or 'none'}",
        )
    crop = kind == CROPS and chosen == ORIGINALS
    if crop and not bbox:
        raise ReleaseNotFound(
            f"{package} needs the bounding boxes, and the release has none",
            fix=f"put {BBOX_NAME} beside the images",
        )
    return Recipe(
        package,
        chosen,
        crop,
        short_side,
        RESIZED_QUALITY if short_side else CROPPED_QUALITY,
        FILTER if short_side else None,
    )


def target_name(package: str, short_side: int | None) -> str:
    """Return the package that ``--package`` and ``--short-side`` stand for together.

    Raises:
        UnknownName: There is no such package.
        UsageError: The name of the package already contains a size.
    """
    name = package_named(package).name
    if short_side is None:
        return name
    if resized_parts(name) is not None:
        raise UsageError(
            f"{name} has a size in its name already",
            fix="give --short-side with --package cropped or --package original",
        )
    return resized_name(CROPS if name == CROPS else "original", short_side)


def versions() -> dict[str, str]:
    """The versions of the libraries that decide the bytes of a derived image.

    Raises:
        MissingDependency: One of them is not installed.
    """
    try:
        return {name: version(name) for name in LIBRARIES}
    except PackageNotFoundError as error:
        raise MissingDependency(
            f"deriving images needs {error.name}, which is not installed",
            fix="pip install 'bioscan5m-hf[derive]'",
        ) from error
