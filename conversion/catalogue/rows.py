"""Upstream's columns of all specimens in their order, in work files that are read by position.

A shard takes its rows out of them, and so does the metadata configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_128

from bioscan5m_hf.catalogue.runs import SortedRuns, read_rows
from bioscan5m_hf.schema.columns import arrow_schema, column_names
from bioscan5m_hf.storage.disk import output_error

BLOCK_ROWS: Final = 8_000
"""How many rows go into one row group of the metadata."""

# What is read at a time: the runs are many, so each of them is to have more than a few rows of it.
_CHUNK_ROWS: Final = 2 * BLOCK_ROWS
_PLACES: Final = np.dtype("<u4")
# What stands for the length of a text that is missing.
_MISSING: Final = -1


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Where the rows are.

    Attributes:
        path: The file of the rows; where each of them lies in it stands in a file beside it.
        content: A digest of every value in every row.
    """

    path: str
    content: str


class RowDigest:
    """A digest of every value in every row, in the order of the metadata file.

    How the rows are cut into batches leaves no trace in it.
    """

    def __init__(self) -> None:
        # Two of each column: its texts and their lengths, or what is missing and the numbers.
        self._digests = [(xxh3_128(), xxh3_128()) for _ in column_names()]

    def add(self, rows: pa.RecordBatch) -> None:
        """Take in some rows.

        Args:
            rows: Upstream's columns, and others that do not count.
        """
        for name, (first, second) in zip(column_names(), self._digests, strict=True):
            column = rows.column(name)
            if pa.types.is_string(column.type):
                first.update(_text(column.fill_null("")))
                numbers = pc.binary_length(column).fill_null(_MISSING)
            else:
                first.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
                numbers = column.fill_null(0)
            second.update(numbers.to_numpy().tobytes())

    def hexdigest(self, selection: str) -> str:
        """The digest.

        Args:
            selection: Which of the rows are wanted, in words.
        """
        joined = xxh3_128(selection.encode())
        for first, second in self._digests:
            joined.update(first.digest() + second.digest())
        return joined.hexdigest()


def _text(column: pa.Array) -> memoryview:
    """The bytes of strings, one after the other."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
    return memoryview(data or b"")[ends[0] : ends[-1]]


def settle_order(rows: SortedRuns, content: str) -> SortedRows:
    """Write where each row lies.

    Args:
        rows: Upstream's columns of every specimen, in order.
        content: A digest of every value in every row.

    Raises:
        OutputError: The order cannot be written.
    """
    path = _places_path(rows.path)
    try:
        path.write_bytes(rows.places.astype(_PLACES, copy=False).data)
    except OSError as error:
        raise output_error(error, path) from error
    return SortedRows(str(rows.path), content)


def _places_path(path: Path) -> Path:
    return path.with_suffix(".places")


class RowReader:
    """Takes rows by position. Some are held at a time, for positions that lie close together.

    Args:
        path: The file of the rows.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._number = -1
        self._chunk: pa.RecordBatch | None = None

    def take(self, positions: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Upstream's columns of the specimens at some positions.

        Args:
            positions: Growing positions among all specimens.
        """
        schema = arrow_schema(image=False)
        pieces = list(self._pieces(positions))
        if not pieces:
            return pa.RecordBatch.from_pylist([], schema)
        batch = pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)
        return pa.record_batch(batch.columns, schema=schema)

    def _pieces(self, positions: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        numbers = positions // _CHUNK_ROWS
        for number in np.unique(numbers).tolist():
            wanted = positions[numbers == number] - number * _CHUNK_ROWS
            chunk = self._read(number)
            if len(wanted) == wanted[-1] - wanted[0] + 1:
                yield chunk.slice(int(wanted[0]), len(wanted))
            else:
                yield chunk.take(pa.array(wanted))

    def _read(self, number: int) -> pa.RecordBatch:
        if self._chunk is None or number != self._number:
            self._chunk = None
            offset = number * _CHUNK_ROWS * _PLACES.itemsize
            places = np.fromfile(_places_path(self._path), _PLACES, _CHUNK_ROWS, offset=offset)
            self._chunk = read_rows(self._path, places, column_names())
            self._number = number
        return self._chunk
