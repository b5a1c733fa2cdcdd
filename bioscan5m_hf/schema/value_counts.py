"""Count the values of a text column batch by batch, without creating a Python object for each."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Counts = np.ndarray[tuple[int], np.dtype[np.int64]]

# Each set of counts is at most as long as a batch, so those not merged yet take some megabytes.
_WAITING: Final = 64


class ValueCounts:
    """Counts the texts of a column."""

    def __init__(self) -> None:
        self._values = pa.array([], pa.string())
        self._counts: Counts = np.empty(0, np.int64)
        self._waiting: list[tuple[pa.Array, Counts]] = []

    def add(self, texts: pa.Array) -> None:
        """Count some texts.

        Args:
            texts: Strings; nulls are not counted.
        """
        found = pc.value_counts(texts)
        values, counts = found.field(0), found.field(1)
        if values.null_count:
            present = values.is_valid()
            values, counts = values.filter(present), counts.filter(present)
        self._waiting.append((values, counts.to_numpy()))
        if len(self._waiting) == _WAITING:
            self._merge()

    def counts(self) -> tuple[pa.Array, Counts]:
        """The distinct texts in no particular order, and how often each occurs."""
        self._merge()
        return self._values, self._counts

    def _merge(self) -> None:
        if not self._waiting:
            return
        texts = [self._values, *(values for values, _ in self._waiting)]
        counts = np.concatenate([self._counts, *(counts for _, counts in self._waiting)])
        self._values, self._counts = summed(pa.concat_arrays(texts), counts)
        self._waiting = []


def summed(texts: pa.Array, counts: Counts) -> tuple[pa.Array, Counts]:
    """Add up the counts of equal texts.

    Returns:
        The distinct texts in order of their first occurrence, and the sum for each.
    """
    encoded = texts.dictionary_encode()
    sums = np.zeros(len(encoded.dictionary), np.int64)
    np.add.at(sums, encoded.indices.to_numpy(), counts)
    return encoded.dictionary, sums
