"""Sort the rows of the metadata of a release, and remove repeated processids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.catalogue.keys import HASH, order_keys, split_edges
from bioscan5m_hf.catalogue.runs import RUN_BYTES, RunWriter, SortedRuns
from bioscan5m_hf.release.metadata.read import KEY, ROW, ROW_SCHEMA

LEAST_SCHEMA: Final = pa.schema([ROW_SCHEMA.field(name) for name in ("processid", "split", ROW)])
"""The columns needed to sort rows and to find repeated processids."""

_STRETCH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class RepeatedRow:
    """A row whose processid occurs in an earlier row.

    Attributes:
        row: Its number.
        processid: The processid.
        split: Its split.
        first: The number of the first row with that processid.
    """

    row: int
    processid: str
    split: str
    first: int


@dataclass(frozen=True, slots=True)
class Specimens:
    """The specimens of a release, sorted by key.

    Attributes:
        rows: Their rows of the metadata.
        names: Their processids, in the same order.
    """

    rows: SortedRuns
    names: pa.LargeStringArray

    def edges(self) -> npt.NDArray[np.int64]:
        """The position of the first specimen of each split, and the end of the last split."""
        return split_edges(self.rows.keys)


def sort_rows(
    batches: Iterable[pa.RecordBatch],
    path: Path,
    schema: pa.Schema,
    *,
    compression: str | None = None,
    limit: int = RUN_BYTES,
) -> SortedRuns:
    """Sort the rows of the metadata.

    Args:
        batches: Rows from ``read_metadata``.
        path: The file to write them to.
        schema: The columns to keep, at least those of ``LEAST_SCHEMA``.
        compression: Arrow's name of the compression of the file.
        limit: How many bytes of rows are sorted at a time.

    Raises:
        OutputError: The file cannot be written.
    """
    with RunWriter(path, schema, compression=compression, limit=limit) as runs:
        for batch in batches:
            add_rows(runs, batch, schema)
        return runs.finish()


def add_rows(runs: RunWriter, rows: pa.RecordBatch, schema: pa.Schema) -> None:
    """Add rows of the metadata to sorted runs.

    Args:
        runs: The runs.
        rows: Rows from ``read_metadata``.
        schema: The columns to keep.
    """
    runs.add(rows.select(schema.names), order_keys(rows[KEY].to_numpy(), rows["split"]))


def single_rows(rows: SortedRuns) -> tuple[SortedRuns, list[RepeatedRow]]:
    """Keep the first row of each processid.

    Args:
        rows: The sorted rows of the metadata.

    Returns:
        The rows that are kept, and the removed rows in the order of the metadata file.
    """
    positions = np.flatnonzero(_repeated(rows.keys & HASH))
    if not positions.size:
        return rows, []
    found = rows.choose(positions).take(["processid", "split", "row"])
    order = pc.sort_indices(found, [("processid", "ascending"), ("row", "ascending")])
    found = found.take(order)
    numbers = found["row"].to_numpy()
    later = same_as_before(found["processid"])
    firsts = numbers[np.maximum.accumulate(np.where(later, 0, np.arange(len(later))))]
    repeated = [
        RepeatedRow(row["row"], row["processid"], row["split"], first)
        for row, first in zip(
            found.filter(pa.array(later)).to_pylist(), firsts[later].tolist(), strict=True
        )
    ]
    keep = np.ones(len(rows), np.bool_)
    keep[positions[order.to_numpy()[later]]] = False
    kept = settle_equal_keys(rows.choose(keep))
    return kept, sorted(repeated, key=lambda each: each.row)


def name_specimens(rows: SortedRuns) -> Specimens:
    """Read the processids of rows without repeated ones."""
    names = [batch["processid"] for _, batch in rows.stretches(_STRETCH, ["processid"])]
    joined = pa.chunked_array(names, pa.string()).cast(pa.large_string()).combine_chunks()
    return Specimens(rows, joined)


def same_as_before(values: pa.Array) -> npt.NDArray[np.bool_]:
    """For each value, whether it equals the one before it."""
    equal = pc.equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return np.append(np.zeros(min(1, len(values)), np.bool_), equal)


def equal_keys(rows: SortedRuns) -> npt.NDArray[np.bool_]:
    """For each row, whether a neighbour has the same key."""
    equal: npt.NDArray[np.bool_] = np.zeros(len(rows) + 1, np.bool_)
    equal[1:-1] = rows.keys[1:] == rows.keys[:-1]
    return equal[1:] | equal[:-1]


def settle_equal_keys(rows: SortedRuns) -> SortedRuns:
    """Sort specimens with equal keys by their full md5, and then by their processids."""
    alike = np.flatnonzero(equal_keys(rows)) if len(rows) else np.empty(0, np.int64)
    if not alike.size:
        return rows
    names = rows.choose(alike).take(["processid"])["processid"].to_pylist()

    def full_order(number: int) -> tuple[int, bytes, str]:
        name = names[number]
        digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
        return int(rows.keys[alike[number]]), digest, name

    places = rows.places.copy()
    places[alike] = rows.places[alike[sorted(range(len(names)), key=full_order)]]
    return SortedRuns(rows.path, rows.keys, places)


def _repeated(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """For each hash, whether it occurs more than once."""
    ordered = np.sort(hashes)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(hashes, again) if again.size else np.zeros(len(hashes), np.bool_)
