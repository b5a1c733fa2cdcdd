"""Sort more rows than fit into memory: sorted runs in one file, and the merged order in memory.

Rows are collected until they take some megabytes, then sorted by key and written as one run.
Consecutive rows of the merged order lie close together in each run, and are merged when they are
read. For each row, a key of 8 bytes and a place of 4 bytes stay in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.schema.order import Keys
from bioscan5m_hf.storage.disk import explained

Places = npt.NDArray[np.uint32]
"""The positions of rows in the file: the number of a batch, then of a row in it, in one number."""

# The metadata of some 75,000 specimens; sorting needs three times as much memory.
RUN_BYTES: Final = 64 << 20
# A place is a batch and a row in it, so all batches of a run but its last have this length.
_BATCH_BITS: Final = 10
_BATCH_ROWS: Final = 1 << _BATCH_BITS
# Taking many rows at once needs a third of the time of taking them batch by batch.
_TAKEN_ROWS: Final = 32 * _BATCH_ROWS
_STORED_BATCHES: Final = 16
_IN_BATCH: Final = np.uint32(_BATCH_ROWS - 1)
_KEYS: Final = ".keys.npy"
_PLACES: Final = ".places.npy"


@dataclass(frozen=True, slots=True)
class SortedRuns:
    """Rows sorted by key.

    Attributes:
        path: The file of the runs, an Arrow file.
        keys: The sorted keys.
        places: The place of each row in the file, in the same order. Rows with equal keys keep the
            order in which they were added.
    """

    path: Path
    keys: Keys
    places: Places

    def __len__(self) -> int:
        return len(self.places)

    def choose(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> SortedRuns:
        """Select rows.

        Args:
            rows: A mask, ascending positions, or a range.
        """
        return replace(self, keys=self.keys[rows], places=self.places[rows])

    def take(self, columns: Sequence[str]) -> pa.RecordBatch:
        """Read some columns of all rows, in order."""
        return read_rows(self.path, self.places, columns)

    def stretches(self, rows: int, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Read all rows in order, a stretch at a time.

        Args:
            rows: How many rows a stretch has.
            columns: The columns to read.

        Yields:
            The position of the first row, and the rows.
        """
        for start in range(0, len(self), rows):
            yield start, read_rows(self.path, self.places[start : start + rows], columns)


class RunWriter:
    """Writes sorted runs of rows that come in any order.

    Args:
        path: The file.
        schema: The columns of the rows.
        compression: Arrow's name of the compression of the buffers.
        limit: How many bytes of rows a run has.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        *,
        compression: str | None = None,
        limit: int = RUN_BYTES,
    ) -> None:
        self._path = path
        self._schema = schema
        self._limit = limit
        self._held: list[pa.RecordBatch] = []
        self._keys: list[Keys] = []
        self._bytes = 0
        self._runs: list[tuple[Keys, Places]] = []
        self._batches = 0
        options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
        with _writing(self._path):
            self._file = pa.OSFile(str(path), "wb")
            self._writer = pa.ipc.new_file(self._file, schema, options=options)
        # A run is sorted and written while the rows of the next one are collected.
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="bioscan5m-runs")
        self._writing: Future[None] | None = None

    def add(self, batch: pa.RecordBatch, keys: Keys) -> None:
        """Add rows.

        Args:
            batch: Rows of the schema.
            keys: Their keys.

        Raises:
            OutputError: The file cannot be written.
        """
        self._held.append(batch)
        self._keys.append(keys)
        self._bytes += batch.nbytes
        if self._bytes >= self._limit:
            self._end_run()

    def finish(self) -> SortedRuns:
        """Write the last run, and return the order of all rows.

        Raises:
            OutputError: The file cannot be written.
        """
        self._end_run()
        self._wait()
        with _writing(self._path):
            self._writer.close()
            self._file.close()
        keys = np.concatenate([keys for keys, _ in self._runs] or [np.empty(0, np.uint64)])
        places = np.concatenate([found for _, found in self._runs] or [np.empty(0, np.uint32)])
        self._runs.clear()
        # The stable sort only has to merge the runs, which are sorted already.
        order = np.argsort(keys, kind="stable")
        return SortedRuns(self._path, keys[order], places[order])

    def _end_run(self) -> None:
        self._wait()
        if self._held:
            self._writing = self._aside.submit(self._write_run, self._held, self._keys)
            self._held, self._keys, self._bytes = [], [], 0

    def _wait(self) -> None:
        if self._writing:
            self._writing.result()
            self._writing = None

    def _write_run(self, held: list[pa.RecordBatch], held_keys: list[Keys]) -> None:
        # Concatenating first takes less time than taking rows from each batch.
        rows = _joined(held)
        held.clear()
        keys = np.concatenate(held_keys)
        order = np.argsort(keys, kind="stable")
        with _writing(self._path):
            for start in range(0, len(order), _TAKEN_ROWS):
                taken = rows.take(pa.array(order[start : start + _TAKEN_ROWS]))
                self._writer.write_table(pa.Table.from_batches([taken]), max_chunksize=_BATCH_ROWS)
        first = self._batches * _BATCH_ROWS
        self._batches += -(-len(order) // _BATCH_ROWS)
        self._runs.append((keys[order], np.arange(first, first + len(order), dtype=np.uint32)))
        # Arrow's memory pool keeps freed memory for each thread, and would grow with every thread.
        del rows
        pa.default_memory_pool().release_unused()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._aside.shutdown()
        # Errors do not matter: nobody reads an unfinished file.
        with suppress(OSError):
            self._file.close()


def _writing(path: Path) -> AbstractContextManager[None]:
    return explained(
        "the catalogue cannot be made",
        path.parent,
        "see that there is room on this disk, and run the same command again",
    )


def keep_order(rows: SortedRuns) -> None:
    """Write the order of the rows beside their file.

    Args:
        rows: The rows.

    Raises:
        OutputError: It cannot be written.
    """
    with _writing(rows.path):
        np.save(rows.path.with_suffix(_KEYS), rows.keys)
        np.save(rows.path.with_suffix(_PLACES), rows.places)


def kept_order(path: Path) -> SortedRuns:
    """Load the order of rows that ``keep_order`` wrote.

    Args:
        path: The file of the rows.
    """
    keys, places = (np.load(path.with_suffix(suffix), "r") for suffix in (_KEYS, _PLACES))
    return SortedRuns(path, keys, places)


def read_stored(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read some columns of all rows, in the order of the file.

    Args:
        path: The file.
        columns: The columns.

    Yields:
        Batches of some thousands of rows.
    """
    with pa.memory_map(str(path)) as file:
        batches = _open(file, columns)
        for start in range(0, batches.num_record_batches, _STORED_BATCHES):
            stop = min(start + _STORED_BATCHES, batches.num_record_batches)
            held = [batches.get_batch(number).select(columns) for number in range(start, stop)]
            yield pa.concat_batches(held)


def _open(file: pa.NativeFile, columns: Sequence[str] | None) -> pa.ipc.RecordBatchFileReader:
    batches = pa.ipc.open_file(file)
    if columns is None:
        return batches
    # Without this option, the other columns would be decompressed too.
    numbers = [batches.schema.get_field_index(name) for name in columns]
    return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=numbers))


def read_rows(
    path: Path | str, places: Places, columns: Sequence[str] | None = None
) -> pa.RecordBatch:
    """Read some rows of the file of the runs.

    Args:
        path: The file.
        places: The places of the rows, all different.
        columns: The columns to read; all by default.

    Returns:
        A copy of the rows, in the order of the places.

    Raises:
        OSError: The file cannot be read.
    """
    # Mapped only while it is read, because mapped pages count as memory of this process.
    with pa.memory_map(str(path)) as file:
        batches = _open(file, columns)
        if not len(places):
            schema = batches.schema
            chosen = [schema.field(name) for name in columns or schema.names]
            return pa.RecordBatch.from_pylist([], pa.schema(chosen))
        ordered = np.sort(places)
        numbers = ordered >> np.uint32(_BATCH_BITS)
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(ordered)]
        pieces: list[pa.RecordBatch] = []
        for start, stop in itertools.pairwise(edges):
            batch = batches.get_batch(int(numbers[start]))
            if columns is not None:
                batch = batch.select(columns)
            rows = ordered[start:stop] & _IN_BATCH
            first, last = int(rows[0]), int(rows[-1])
            if last - first + 1 == len(rows):
                pieces.append(batch.slice(first, len(rows)))
            else:
                pieces.append(batch.take(pa.array(rows)))
        return _joined(pieces).take(pa.array(np.searchsorted(ordered, places)))


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
