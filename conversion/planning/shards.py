"""Divide the specimens of each split into shards, by their sizes alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Shard:
    """A contiguous range of the specimens of one split: the unit of work, retry and resume.

    Attributes:
        configuration: The folder it is written to, such as ``cropped_256``.
        split: The published name of the split.
        index: Its number among the shards of the split, from 0.
        count: How many shards the split has.
        start: Its first row in the configuration, whose splits are in upstream's order.
        stop: The row after its last row.
    """

    configuration: str
    split: str
    index: int
    count: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many specimens are planned for it."""
        return self.stop - self.start

    def name(self, suffix: str) -> str:
        """Its path in the dataset folder, such as ``cropped_256/train-00000-of-00005.parquet``.

        Args:
            suffix: The format's suffix, with its dot.
        """
        stem = f"{self.split}-{self.index:05}-of-{self.count:05}"
        return f"{self.configuration}/{stem}{suffix}"


def cut(sizes: npt.NDArray[np.integer], limit: int, least: int = 1) -> list[int]:
    """Cut a sequence into as few pieces as the limit allows, all of about the same size.

    Args:
        sizes: The size of each item in bytes, in order.
        limit: The target for the size of a piece in bytes; a piece may exceed it by less than the
            size of one item.
        least: How many pieces there are at least, if there are as many items.

    Returns:
        The ascending positions of the cuts, from 0 to ``len(sizes)``: one more than there are
        pieces. An empty sequence has no piece, so the result is ``[0]``.
    """
    if not len(sizes):
        return [0]
    total = np.cumsum(sizes, dtype=np.int64)
    pieces = min(max(least, -(-int(total[-1]) // limit)), len(sizes))
    targets = [int(total[-1]) * piece // pieces for piece in range(1, pieces)]
    inner = np.searchsorted(total, targets, side="left") + 1
    # An item larger than a piece would leave pieces empty, so every piece gets at least one item.
    floor = np.arange(1, pieces)
    inner = np.maximum.accumulate(np.maximum(inner, floor) - floor) + floor
    inner = np.minimum(inner, len(sizes) - pieces + floor)
    return [0, *inner.tolist(), len(sizes)]


def plan_shards(
    configuration: str,
    splits: Sequence[tuple[str, npt.NDArray[np.integer]]],
    limit: int,
    least: int = 1,
) -> list[Shard]:
    """Plan the shards of a configuration.

    Args:
        configuration: Its name.
        splits: For each split, in upstream's order, its published name and the size in bytes of
            each of its specimens, in the order of the rows. A split may be empty.
        limit: The size in bytes that a shard should have at most.
        least: How many shards a split has at least, if it has as many specimens.

    Returns:
        The shards; every specimen is in exactly one of them.
    """
    shards: list[Shard] = []
    first = 0
    for split, sizes in splits:
        edges = cut(sizes, limit, least)
        shards += [
            Shard(configuration, split, index, len(edges) - 1, first + start, first + stop)
            for index, (start, stop) in enumerate(itertools.pairwise(edges))
        ]
        first += len(sizes)
    return shards
