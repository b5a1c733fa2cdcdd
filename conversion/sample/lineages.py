"""Lineages: groups of specimens that share a name, a BIN and nearly the same barcode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from conversion.sample import noise
from conversion.sample.allocation import split_counts
from conversion.sample.taxonomy import Genus, genera

_MOST_SEEN: Final = 4_000
_MOST_UNSEEN: Final = 900
_MOST_HELDOUT: Final = 3_000
_MOST_UNLABELLED: Final = 24_000
_BINS: Final = 26 * 26 * 10_000

_SEEN: Final = ("train", "val", "test")
_UNSEEN: Final = ("key_unseen", "val_unseen", "test_unseen")
_NUMBER: Final = {split.name: number for number, split in enumerate(SPLITS)}


@dataclass(frozen=True, slots=True)
class Lineages:
    """All lineages of a release.

    Attributes:
        seed: The seed of the release.
        first: For each split, the number of the first lineage its specimens belong to.
        size: For each split, how many lineages its specimens belong to.
        genus: For each lineage, the number of its genus in ``taxonomy.genera()``.
        species: For each lineage, the name of its species; empty where it has none.
    """

    seed: int
    first: NDArray[np.int64]
    size: NDArray[np.int64]
    genus: NDArray[np.int64]
    species: tuple[str, ...]

    def of(
        self, index: NDArray[np.int64], split: NDArray[np.int64], place: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Find the lineages of specimens.

        Every species occurs in ``train`` (or ``key_unseen``), so that the species of ``val`` and
        ``test`` (or ``val_unseen`` and ``test_unseen``) are never new.

        Args:
            index: Numbers of specimens.
            split: Numbers of their splits.
            place: Their places in these splits.
        """
        size = self.size[split]
        # Squaring makes a few lineages common and most of them rare.
        chosen = (noise.unit(self.seed, "lineage", index) ** 2 * size).astype(np.int64)
        covers = (split == _NUMBER["train"]) | (split == _NUMBER["key_unseen"])
        covers |= split == _NUMBER["other_heldout"]
        return self.first[split] + np.where(covers & (place < size), place, chosen)

    def bin_codes(self, lineage: NDArray[np.int64]) -> list[str]:
        """The Barcode Index Numbers of lineages, such as ``BOLD:ACW1968``.

        Args:
            lineage: Numbers of lineages.
        """
        letters, digits = np.divmod(noise.scattered(self.seed, "bin", lineage, _BINS), 10_000)
        return [
            f"BOLD:A{chr(65 + pair // 26)}{chr(65 + pair % 26)}{number:04d}"
            for pair, number in zip(letters.tolist(), digits.tolist(), strict=True)
        ]


def lineages(seed: int, specimens: int) -> Lineages:
    """Lay out the lineages of a release.

    Args:
        seed: The seed of the release.
        specimens: How many specimens it has.
    """
    counts = split_counts(specimens)
    seen = min(_MOST_SEEN, -(-counts["train"] // 5))
    unseen = min(_MOST_UNSEEN, -(-counts["key_unseen"] // 4))
    heldout = min(_MOST_HELDOUT, -(-counts["other_heldout"] // 4))
    unlabelled = min(_MOST_UNLABELLED, -(-counts["pretrain"] // 6))
    first, size = [], []
    for split in SPLITS:
        if split.name in _SEEN:
            first.append(0)
            size.append(seen)
        elif split.name in _UNSEEN:
            first.append(seen)
            size.append(unseen)
        elif split.name == "other_heldout":
            first.append(seen + unseen)
            size.append(heldout)
        else:
            first.append(seen + unseen + heldout)
            size.append(unlabelled)

    known = genera()
    number = np.arange(seen + unseen + heldout + unlabelled, dtype=np.int64)
    shares = np.cumsum([genus.weight for genus in known])
    drawn = noise.unit(seed, "genus", number) * shares[-1]
    genus_of = np.searchsorted(shares, drawn, side="right").astype(np.int64)
    species = [""] * len(number)
    _name_species(known, genus_of, species, seen + unseen)
    for lineage in range(seen + unseen, seen + unseen + heldout):
        species[lineage] = _provisional_name(known[genus_of[lineage]], lineage)
    return Lineages(
        seed=seed,
        first=np.array(first, dtype=np.int64),
        size=np.array(size, dtype=np.int64),
        genus=genus_of,
        species=tuple(species),
    )


def _name_species(
    known: tuple[Genus, ...], genus_of: NDArray[np.int64], species: list[str], named: int
) -> None:
    """Give each of the first lineages a binomial that no other has."""
    used = [0] * len(known)
    for lineage in range(named):
        number = int(genus_of[lineage])
        while used[number] == len(known[number].epithets):
            number = (number + 1) % len(known)
        genus = known[number]
        genus_of[lineage] = number
        species[lineage] = f"{genus.name} {genus.epithets[used[number]]}"
        used[number] += 1


def _provisional_name(genus: Genus, lineage: int) -> str:
    forms = (
        f"{genus.name} sp. {lineage}BR",
        f"{genus.name} sp. BIOUG{lineage:05d}",
        f"{genus.name} cf. {genus.epithets[0]} DHJ{lineage:02d}",
        f"{genus.name} nr. {genus.epithets[0]} {lineage}",
        f"{genus.name.lower()}Janzen{lineage:02d} Janzen{lineage:02d}",
    )
    return forms[lineage % len(forms)]
