"""Derive the images of a shard, one specimen at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from bioscan5m_hf.release.zip_member import Flaw, FlawedImage
from conversion.derive.bbox import COORDINATES, VARIANTS
from conversion.derive.geometry import Box
from conversion.derive.pixels import Derivation
from conversion.derive.recipe import Recipe

Maker = Callable[[bytes | bytearray, Mapping[str, Any], pa.RecordBatch, int], bytes]
"""Makes an image from a source image, its entry in the list of members, the rows of metadata, and
its number in these rows."""


def maker(recipe: Recipe) -> Maker:
    """Prepare a recipe.

    Returns:
        A function that makes one image; it raises ``FlawedImage`` if that is not possible.
    """
    derivation = Derivation(recipe)

    def make(
        image: bytes | bytearray, entry: Mapping[str, Any], rows: pa.RecordBatch, index: int
    ) -> bytes:
        if not recipe.crop:
            return derivation.make(image)
        return derivation.make(
            image,
            _box_of(entry),
            rows.column("area_fraction")[index].as_py(),
            rows.column("scale_factor")[index].as_py(),
        )

    return make


def _box_of(entry: Mapping[str, Any]) -> Box:
    if entry[VARIANTS] is None:
        raise FlawedImage(Flaw.MISSING_BOX, "there is no bounding box of it")
    if entry[VARIANTS] > 1:
        raise FlawedImage(Flaw.BAD_BOX, f"there are {entry[VARIANTS]} different boxes of it")
    numbers = [entry[name] for name in COORDINATES]
    if lacking := [name for name, n in zip(COORDINATES, numbers, strict=True) if n is None]:
        raise FlawedImage(Flaw.BAD_BOX, f"{', '.join(lacking)} of its box is not a whole number")
    return Box(*numbers)
