"""Rows of the metadata that are held in memory, and put into order there, where they are few."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.metadata import ROW, ROW_SCHEMA
from bioscan5m_hf.schema import arrow_schema
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
            Their values, in the order of the numbers.
        """
        batches = [batch for batch in self.batches if batch.num_rows]
        numbers = [batch[ROW].to_numpy() for batch in batches]
        firsts = np.array([found[0] for found in numbers], np.uint64)
        texts = [batch.select(_SCHEMA.names) for batch in batches]

        def gather(start: int) -> pa.RecordBatch:
            wanted = rows[start : start + BLOCK_ROWS]
            source = np.searchsorted(firsts, wanted, "right") - 1
            # Small pieces out of one batch after the other, which stay in the processor's cache.
            by_source = np.argsort(source, kind="stable")
            found, edges = np.unique(source[by_source], return_index=True)
            pieces = [
                texts[number].take(pa.array(np.searchsorted(numbers[number], group)))
                for number, group in zip(found, np.split(wanted[by_source], edges[1:]), strict=True)
            ]
            back = np.empty_like(by_source)
            back[by_source] = np.arange(len(by_source))
            [joined] = pa.Table.from_batches(pieces).combine_chunks().to_batches()
            return joined.take(pa.array(back))

        # Shards wait for this, and nothing else keeps the processors busy meanwhile.
        with ThreadPoolExecutor(_GATHERING) as pool:
            yield from pool.map(gather, range(0, len(rows), BLOCK_ROWS))
