"""Rows of the metadata configuration, read back by their position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.schema import arrow_schema


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


class _Groups(Protocol):
    """The row groups, or record batches, of one file."""

    rows: list[int]

    def read(self, group: int) -> pa.Table: ...

    def close(self) -> None: ...


class _ParquetGroups:
    def __init__(self, path: str) -> None:
        self._file = pq.ParquetFile(path)
        metadata = self._file.metadata
        self.rows = [metadata.row_group(i).num_rows for i in range(self._file.num_row_groups)]

    def read(self, group: int) -> pa.Table:
        return self._file.read_row_group(group)

    def close(self) -> None:
        self._file.close()


class _ArrowGroups:
    def __init__(self, path: str) -> None:
        self._map = pa.memory_map(path)
        self._batches = list(pa.ipc.open_stream(self._map))
        self.rows = [batch.num_rows for batch in self._batches]

    def read(self, group: int) -> pa.Table:
        return pa.Table.from_batches([self._batches[group]])

    def close(self) -> None:
        self._map.close()


class RowReader:
    """Takes rows by position, positions growing from call to call.

    One row group of the metadata is held at a time, for positions that lie close together.

    Args:
        tables: The files, in the order of the positions.
    """

    def __init__(self, tables: tuple[StoredTable, ...]) -> None:
        self._tables = tables
        self._file: _Groups | None = None
        self._file_number = -1
        self._group: pa.Table | None = None
        self._group_start = self._group_stop = 0

    def take(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Upstream's columns of the specimens at some positions.

        Args:
            positions: Growing positions among all specimens.
        """
        pieces: list[pa.Table] = []
        if not len(positions):
            return pa.RecordBatch.from_pylist([], arrow_schema(image=False))
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
        for group, rows in enumerate(file.rows):
            if position < start + rows:
                self._group = file.read(group)
                self._group_start, self._group_stop = start, start + rows
                return self._group
            start += rows
        raise AssertionError(f"position {position} is beyond {self._tables[number].path}")

    def _open(self, number: int) -> _Groups:
        if self._file is None or self._file_number != number:
            self._close()
            path = self._tables[number].path
            self._file = _ArrowGroups(path) if path.endswith(".arrow") else _ParquetGroups(path)
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
