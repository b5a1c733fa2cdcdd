"""Upstream's columns of all specimens in their order, in a work file that is read by position.

A shard takes its rows out of it, and so does the metadata configuration. The file is in Arrow's
own form, so that nothing is decoded for the few rows that a shard wants of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128

from bioscan5m_hf.regrouped import regrouped
from bioscan5m_hf.schema.columns import arrow_schema
from bioscan5m_hf.storage.prefetch import ahead
from conversion.canonical import canonical
from conversion.files.atomic import output_error
from conversion.files.work_file import WorkFile

BLOCK_ROWS: Final = 8_000


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Where the rows are.

    Attributes:
        path: The file.
        content: A digest of every value in every row.
    """

    path: str
    content: str


def store_rows(rows: Iterator[pa.RecordBatch], path: Path) -> SortedRows:
    """Write the rows.

    Args:
        rows: Upstream's columns of every specimen, in order.
        path: The file.

    Raises:
        OutputError: It cannot be written.
    """
    digest = xxh3_128()
    schema = arrow_schema(image=False)
    try:
        with (
            WorkFile(path) as file,
            pa.ipc.new_file(file, schema) as writer,
            # Putting rows into order and writing them overlap.
            closing(ahead(rows)) as sorted_ahead,
        ):
            for table in regrouped(sorted_ahead, BLOCK_ROWS):
                block = _canonical(table, schema)
                digest.update(_content(block))
                writer.write_batch(block)
    except OSError as error:
        raise output_error(error, path) from error
    return SortedRows(str(path), digest.hexdigest())


def _canonical(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    """One batch, laid out as its values alone allow."""
    [batch] = table.cast(schema).combine_chunks().to_batches()
    return pa.record_batch([canonical(column) for column in batch.columns], schema=schema)


def _content(block: pa.RecordBatch) -> bytes:
    digest = xxh3_128()
    for column in block.columns:
        for buffer in column.buffers():
            digest.update(b"" if buffer is None else memoryview(buffer))
    return digest.digest()


class RowReader:
    """Takes rows by position. One block is held at a time, for positions that lie close together.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        # Not mapped: what is mapped counts as this process's memory.
        self._file = pa.OSFile(path)
        self._blocks = pa.ipc.open_file(self._file)
        self._number = -1
        self._block: pa.RecordBatch | None = None

    def take(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Upstream's columns of the specimens at some positions.

        Args:
            positions: Growing positions among all specimens.
        """
        numbers = positions // BLOCK_ROWS
        pieces: list[pa.RecordBatch] = []
        for number in np.unique(numbers).tolist():
            wanted = positions[numbers == number] - number * BLOCK_ROWS
            block = self._read(number)
            if len(wanted) == wanted[-1] - wanted[0] + 1:
                pieces.append(block.slice(int(wanted[0]), len(wanted)))
            else:
                pieces.append(block.take(pa.array(wanted)))
        if len(pieces) == 1:
            return pieces[0]
        [batch] = (
            pa.Table.from_batches(pieces, arrow_schema(image=False)).combine_chunks().to_batches()
        ) or [pa.RecordBatch.from_pylist([], arrow_schema(image=False))]
        return batch

    def _read(self, number: int) -> pa.RecordBatch:
        if self._block is None or number != self._number:
            self._block = self._blocks.get_batch(number)
            self._number = number
        return self._block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._block = None
        self._file.close()
