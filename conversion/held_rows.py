"""Rows of the metadata that are held in memory, and put into order there, where they are few."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.release.metadata.read import ROW, ROW_SCHEMA
from bioscan5m_hf.schema.columns import arrow_schema
from conversion.sorted_rows import BLOCK_ROWS

KEY_SCHEMA: Final = pa.schema([ROW_SCHEMA.field(name) for name in ("processid", "split", ROW)])
"""What decides the order of a row, and its number."""

_SCHEMA: Final = arrow_schema(image=False)
# What they gather waits for whoever writes it: as much as is held, at most.
_GATHERING: Final = 2


class HeldRows:
    """Batches of rows as they came out of the file.

    Half as much work as a database's, which copies every value in and, sorted, out again; for
    what does not fit into memory it is the database that sorts.

    Args:
        limit: How many bytes may be held.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self.batches: list[pa.RecordBatch] = []

    def take_in(self, batches: Iterator[pa.RecordBatch]) -> bool:
        """Hold batches until they end or are too many.

        Args:
            batches: Batches of ``ROW_SCHEMA``, by growing row numbers.

        Returns:
            Whether all of them are held.
        """
        for batch in batches:
            self.batches.append(batch)
            self._bytes += batch.nbytes
            if self._bytes > self._limit:
                return False
        return True

    def in_order(self, rows: npt.NDArray[np.uint64]) -> Iterator[pa.RecordBatch]:
        """Upstream's columns of some rows.

        Args:
            rows: The numbers of the rows, as the column ``row`` of the batches has them.

        Yields:
            Their values, in the order of the numbers. The batches are given up for it.
        """
        numbers = np.concatenate([batch[ROW].to_numpy() for batch in self.batches])
        # Joined first, which costs less than to gather from one batch after the other.
        joined = pa.Table.from_batches([batch.select(_SCHEMA.names) for batch in self.batches])
        self.batches.clear()
        [held] = joined.combine_chunks().to_batches()
        del joined
        places = np.searchsorted(numbers, rows)

        def gather(start: int) -> pa.RecordBatch:
            return held.take(pa.array(places[start : start + BLOCK_ROWS]))

        # Shards wait for this, and nothing else keeps the processors busy meanwhile.
        with ThreadPoolExecutor(_GATHERING) as pool:
            yield from pool.map(gather, range(0, len(rows), BLOCK_ROWS))
