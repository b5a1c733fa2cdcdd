"""Which specimen belongs to which split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.sample import noise

MINIMUM: Final = len(SPLITS)

_UPSTREAM_RECORDS: Final = {
    "pretrain": 4_677_756,
    "train": 289_203,
    "val": 14_757,
    "test": 39_373,
    "val_unseen": 8_819,
    "test_unseen": 7_887,
    "key_unseen": 36_465,
    "other_heldout": 76_590,
}
_SMALL_SPLIT: Final = 20


def split_counts(specimens: int) -> dict[str, int]:
    """Share specimens among the splits in upstream's proportions, leaving none of them empty.

    Args:
        specimens: How many there are.

    Returns:
        The number of specimens by split, in upstream's order.

    Raises:
        UsageError: There are fewer specimens than splits.
    """
    if specimens < MINIMUM:
        raise UsageError(
            f"{specimens} specimens cannot fill {MINIMUM} splits",
            fix=f"ask for at least {MINIMUM}",
        )
    # The six smallest splits hold 4 % of the release together and would vanish from a sample.
    floor = max(1, min(_SMALL_SPLIT, specimens // (2 * MINIMUM)))
    total = sum(_UPSTREAM_RECORDS.values())
    counts = {
        split.name: max(floor, round(specimens * _UPSTREAM_RECORDS[split.name] / total))
        for split in SPLITS
    }
    largest = max(_UPSTREAM_RECORDS, key=_UPSTREAM_RECORDS.__getitem__)
    counts[largest] += specimens - sum(counts.values())
    return counts


@dataclass(frozen=True, slots=True)
class Allocation:
    """The split of every specimen, and its place within it.

    Attributes:
        seed: The seed of the release.
        specimens: How many specimens it has.
    """

    seed: int
    specimens: int

    def of(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Find the splits of specimens.

        Args:
            index: Numbers of specimens.

        Returns:
            For each specimen the number of its split in ``SPLITS``, and its place in that split
            counted from 0.
        """
        counts = np.array(list(split_counts(self.specimens).values()), dtype=np.int64)
        ends = np.cumsum(counts)
        place = noise.scattered(self.seed, "split", index, self.specimens)
        split = np.searchsorted(ends, place, side="right").astype(np.int64)
        return split, place - (ends - counts)[split]
