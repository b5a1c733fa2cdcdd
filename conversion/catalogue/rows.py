"""Upstream's columns of all specimens in their order, in work files that are read by position.

A shard takes its rows out of them, and so does the metadata configuration.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_128

from bioscan5m_hf.catalogue.runs import Places, SortedRuns, read_rows
from bioscan5m_hf.schema.columns import arrow_schema, column_names
from bioscan5m_hf.storage.disk import output_error
from conversion.catalogue.canonical import canonical

BLOCK_ROWS: Final = 8_000
"""How many rows go into one part of the digest, and into one row group of the metadata."""

# What is read at a time: the runs are many, so each of them is to have more than a few rows of it.
_CHUNK_ROWS: Final = 2 * BLOCK_ROWS
_PLACES: Final = np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class SortedRows:
    """Where the rows are.

    Attributes:
        path: The file of the rows; where each of them lies in it stands in a file beside it.
        content: A digest of every value in every row.
    """

    path: str
    content: str


def settle_order(rows: SortedRuns, threads: int, stopped: threading.Event) -> SortedRows:
    """Write where each row lies, and take the digest of all of them in their order.

    Args:
        rows: Upstream's columns of every specimen, in order.
        threads: How many processors may be used.
        stopped: Set by whoever does not want it any more.

    Raises:
        OutputError: The order cannot be written.
        CancelledError: Nobody wants it any more.
    """
    path = _places_path(rows.path)
    try:
        path.write_bytes(rows.places.astype(_PLACES, copy=False).data)
    except OSError as error:
        raise output_error(error, path) from error

    def digests(start: int) -> list[bytes]:
        if stopped.is_set():
            raise CancelledError
        chunk = _read_chunk(rows.path, rows.places[start : start + _CHUNK_ROWS])
        firsts = range(0, chunk.num_rows, BLOCK_ROWS)
        return [_content(chunk.slice(first, BLOCK_ROWS)) for first in firsts]

    content = xxh3_128()
    # Shards wait for this, and nothing else keeps the processors busy meanwhile.
    with ThreadPoolExecutor(threads, thread_name_prefix="bioscan5m-rows") as pool:
        for found in pool.map(digests, range(0, len(rows), _CHUNK_ROWS)):
            for digest in found:
                content.update(digest)
    return SortedRows(str(rows.path), content.hexdigest())


def _places_path(path: Path) -> Path:
    return path.with_suffix(".places")


def _read_chunk(path: Path, places: Places) -> pa.RecordBatch:
    return read_rows(path, places, column_names())


def _content(block: pa.RecordBatch) -> bytes:
    digest = xxh3_128()
    for column in block.columns:
        for buffer in canonical(column).buffers():
            digest.update(b"" if buffer is None else memoryview(buffer))
    return digest.digest()


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
            self._chunk = _read_chunk(self._path, places)
            self._number = number
        return self._chunk
