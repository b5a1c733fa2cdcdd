"""Rows of the metadata configuration, read back by their position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class StoredTable:
    """One file of the metadata configuration.

    Attributes:
        path: Where it is.
        first: The position of its first row among all specimens.
        rows: How many it has.
    """

    path: str
    first: int
    rows: int


class RowReader:
    """Takes rows by position, positions growing from call to call.

    One row group of the metadata is held at a time, for positions that lie close together.

    Args:
        tables: The files, in the order of the positions.
    """

    def __init__(self, tables: tuple[StoredTable, ...]) -> None:
        self._tables = tables
        self._file: pq.ParquetFile | None = None
        self._file_number = -1
        self._group: pa.Table | None = None
        self._group_start = self._group_stop = 0

    def take(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Upstream's columns of the specimens at some positions.

        Args:
            positions: Growing positions among all specimens.
        """
        pieces: list[pa.Table] = []
        while len(positions):
            group = self._group_at(int(positions[0]))
            here = int(np.searchsorted(positions, self._group_stop, side="left"))
            wanted = positions[:here] - self._group_start
            if len(wanted) == wanted[-1] - wanted[0] + 1:
                pieces.append(group.slice(int(wanted[0]), len(wanted)))
            else:
                pieces.append(group.take(pa.array(wanted)))
            positions = positions[here:]
        return pa.concat_tables(pieces).combine_chunks().to_batches()[0]

    def _group_at(self, position: int) -> pa.Table:
        if self._group is not None and self._group_start <= position < self._group_stop:
            return self._group
        number = next(
            number
            for number, table in enumerate(self._tables)
            if table.first <= position < table.first + table.rows
        )
        file = self._open(number)
        start = self._tables[number].first
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            if position < stop:
                self._group = file.read_row_group(group)
                self._group_start, self._group_stop = start, stop
                return self._group
            start = stop
        raise AssertionError(f"position {position} is beyond {self._tables[number].path}")

    def _open(self, number: int) -> pq.ParquetFile:
        if self._file is None or self._file_number != number:
            self._close()
            self._file = pq.ParquetFile(self._tables[number].path)
            self._file_number = number
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()
