"""Keep upstream's columns of all specimens in work files, and read rows by position.

The shards and the metadata configuration read their rows from these files.
"""

from __future__ import annotations

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

# How many rows are read at a time. They are scattered over many sorted runs, so with a smaller
# number, each read would get only a few rows of each run.
_CHUNK_ROWS: Final = 2 * BLOCK_ROWS
_PLACES: Final = np.dtype("<u4")
# The length that stands for a missing text.
_MISSING: Final = -1


@dataclass(frozen=True, slots=True)
class SortedRows:
    """The work files of the rows.

    Attributes:
        path: The file of the rows; a second file beside it has the place of each row in it.
        content: A digest of every value in every row.
    """

    path: str
    content: str


class RowDigest:
    """A digest of every value in every row, in the order of the metadata file.

    It does not depend on how the rows are divided into batches.
    """

    def __init__(self) -> None:
        # Two digests for each column: of its texts and their lengths, or of its nulls and numbers.
        self._digests = [(xxh3_128(), xxh3_128()) for _ in column_names()]

    def add(self, rows: pa.RecordBatch) -> None:
        """Add some rows to the digest.

        Args:
            rows: Upstream's columns; additional columns are ignored.
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
        """Return the digest in hex.

        Args:
            selection: The selection of specimens, in words.
        """
        joined = xxh3_128(selection.encode())
        for first, second in self._digests:
            joined.update(first.digest() + second.digest())
        return joined.hexdigest()


def _text(column: pa.Array) -> memoryview:
    """The concatenated bytes of strings."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
    return memoryview(data or b"")[ends[0] : ends[-1]]


def settle_order(rows: SortedRuns, content: str) -> SortedRows:
    """Write the place of each row to a file beside the rows.

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
    """Reads rows by position, in order, some thousands of them at a time.

    Args:
        path: The file of the rows.
        positions: The positions of the rows to read among all specimens, in ascending order.
    """

    def __init__(self, path: str, positions: npt.NDArray[np.int64]) -> None:
        self._path = Path(path)
        self._positions = positions
        self._at = 0
        self._held = pa.RecordBatch.from_pylist([], arrow_schema(image=False))

    def take(self, count: int) -> pa.RecordBatch:
        """Read upstream's columns of the next specimens.

        Args:
            count: How many specimens.
        """
        pieces = [self._held.slice(0, count)]
        if more := count - pieces[0].num_rows:
            self._held = self._read(max(more, _CHUNK_ROWS))
            pieces.append(self._held.slice(0, more))
        self._held = self._held.slice(pieces[-1].num_rows)
        full = [piece for piece in pieces if piece.num_rows] or pieces[:1]
        return full[0] if len(full) == 1 else pa.concat_batches(full)

    def _read(self, count: int) -> pa.RecordBatch:
        wanted = self._positions[self._at : self._at + count]
        self._at += len(wanted)
        first = int(wanted[0])
        places = np.fromfile(
            _places_path(self._path),
            _PLACES,
            int(wanted[-1]) - first + 1,
            offset=first * _PLACES.itemsize,
        )
        rows = read_rows(self._path, places[wanted - first], column_names())
        return pa.record_batch(rows.columns, schema=self._held.schema)
