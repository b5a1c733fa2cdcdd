"""Find single specimens in the shards of a split, which are sorted by md5(processid).

The md5 is uniform, so the position of a specimen can be estimated well. Therefore the processids of
only a few blocks are read, whatever the size of the split.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from bioscan5m_hf.readers.base import Blocks
from bioscan5m_hf.readers.formats import open_shard
from bioscan5m_hf.schema.order import Keys, keys_of
from bioscan5m_hf.storage.path import Location

_WHOLE: Final = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a specimen in a split."""

    shard: int
    block: int
    row: int


class SplitLookup:
    """Finds specimens in a split, and caches the processids that it has read.

    Args:
        paths: The shards of the split, in order.
        rows: How many specimens each shard has; equal numbers if that is not known.
    """

    def __init__(self, paths: Sequence[Location], rows: Sequence[int]) -> None:
        self._paths = paths
        # The expected range of keys of each shard, from 0 to 1.
        self._edges = np.cumsum([0, *rows]) / max(1, sum(rows))
        self._stack = ExitStack()
        self._blocks: dict[int, Blocks] = {}
        self._names: dict[tuple[int, int], tuple[list[str], Keys]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def blocks(self, shard: int) -> Blocks:
        """The blocks of a shard; the first call opens it."""
        if shard not in self._blocks:
            self._blocks[shard] = open_shard(self._paths[shard]).open_blocks(self._stack)
        return self._blocks[shard]

    def find(self, processid: str) -> Place | None:
        """The place of a specimen; ``None`` if it is not in this split.

        Raises:
            ArchiveError: A shard cannot be read.
        """
        key = int(keys_of([processid])[0])
        first, stop = 0, len(self._paths)
        shard = int(np.searchsorted(self._edges, key / _WHOLE, side="right")) - 1
        while first < stop:
            shard = min(max(shard, first), stop - 1)
            found = self._search(shard, processid, key)
            if isinstance(found, Place):
                return found
            if found == 0:
                return None
            # By chance, some specimens are in the shard before or after the expected one.
            shard += found
            first, stop = (shard, stop) if found > 0 else (first, shard + 1)
        return None

    def _search(self, shard: int, processid: str, key: int) -> Place | int:
        """Search one shard.

        Returns:
            The place; else -1 if only an earlier shard can have the specimen, 1 if only a later
            one can, 0 if none can.
        """
        edges = self.blocks(shard).edges
        begin, end = self._edges[shard : shard + 2].tolist()
        # How many rows, or bytes, there are for each key.
        density = float(edges[-1]) / max((end - begin) * _WHOLE, 1.0)
        guess = (key / _WHOLE - begin) * _WHOLE * density
        first, stop = 0, len(edges) - 1
        before = behind = 0
        while first < stop:
            start = int(np.searchsorted(edges, guess, side="right")) - 1
            start = min(max(start, first), stop - 1)
            # A stretch of a tar may lie inside one image, and then has no processids.
            block = next((b for b in range(start, stop) if self._held(shard, b)[0]), None)
            if block is None:
                stop = start
                continue
            names, keys = self._held(shard, block)
            if key < int(keys[0]):
                guess = float(edges[block]) - (int(keys[0]) - key) * density
                stop, before = start, -1
            elif key > int(keys[-1]):
                guess = float(edges[block + 1]) + (key - int(keys[-1])) * density
                first, behind = block + 1, 1
            else:
                return Place(shard, block, names.index(processid)) if processid in names else 0
        return before + behind

    def _held(self, shard: int, block: int) -> tuple[list[str], Any]:
        if (shard, block) not in self._names:
            names = self.blocks(shard).names(block)
            self._names[shard, block] = names, keys_of(names)
        return self._names[shard, block]
