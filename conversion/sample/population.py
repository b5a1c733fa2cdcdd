"""Who the specimens of a release are: split, lineage and looks of each, by its number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from conversion.sample import noise
from conversion.sample.allocation import Allocation
from conversion.sample.forms import FORMS
from conversion.sample.lineages import Lineages, lineages
from conversion.sample.taxonomy import genera


@dataclass(frozen=True, slots=True)
class Population:
    """The specimens of a release.

    Attributes:
        seed: The seed of the release.
        specimens: How many there are.
        lineages: The lineages they belong to.
        allocation: The splits they belong to.
    """

    seed: int
    specimens: int
    lineages: Lineages
    allocation: Allocation

    def forms(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        """How specimens look.

        Args:
            index: Numbers of specimens.

        Returns:
            For each the place of its form in ``FORMS``.
        """
        split, place = self.allocation.of(index)
        lineage = self.lineages.of(index, split, place)
        place_of = {name: number for number, name in enumerate(FORMS)}
        by_genus = np.array([place_of[genus.form] for genus in genera()], dtype=np.uint8)
        return by_genus[self.lineages.genus[lineage]]


@lru_cache(maxsize=2)
def population(seed: int, specimens: int) -> Population:
    """Lay out the specimens of a release.

    Args:
        seed: The seed of the release.
        specimens: How many there are.
    """
    return Population(seed, specimens, lineages(seed, specimens), Allocation(seed, specimens))


def portraits_of(seed: int, forms: NDArray[np.uint8], distinct: int) -> NDArray[np.int32]:
    """Decide whose photograph every specimen shows.

    The first specimens have photographs of their own; each of the others shows one of these
    that has its form, if there is any.

    Args:
        seed: The seed of the release.
        forms: The form of every specimen.
        distinct: How many photographs there are.
    """
    chosen = np.arange(len(forms), dtype=np.int32)
    for form in np.unique(forms[distinct:]).tolist():
        owners = np.flatnonzero(forms[:distinct] == form).astype(np.int32)
        if not len(owners):
            owners = np.arange(distinct, dtype=np.int32)
        others = np.flatnonzero(forms[distinct:] == form) + distinct
        chosen[others] = owners[noise.below(seed, "portrait", others, len(owners))]
    return chosen
