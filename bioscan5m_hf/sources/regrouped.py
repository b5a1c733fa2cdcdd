"""Divide record batches into tables of one length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa


def regrouped(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of one length.

    Args:
        batches: Record batches of one schema, of any length.
        size: How many rows each table has; only the last may have fewer.
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if count >= size:
            table = pa.Table.from_batches(held)
            whole = count - count % size
            for start in range(0, whole, size):
                yield table.slice(start, size)
            held = table.slice(whole).to_batches()
            count -= whole
    if count:
        yield pa.Table.from_batches(held)
