"""The index of the metadata of a raw release: its records in the order of a conversion.

Nine of ten records are of the split ``pretrain``. Where others are asked for, an index is made that
keeps the records of those only: all records are read and checked, and few are written. Labels are
counted over all of them, which would take a fifth of the time, so they want the whole index.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.catalogue.keys import split_edges
from bioscan5m_hf.catalogue.runs import (
    RUN_BYTES,
    RunWriter,
    SortedRuns,
    keep_order,
    kept_order,
    read_stored,
)
from bioscan5m_hf.catalogue.specimens import LEAST_SCHEMA, add_rows, single_rows, sort_rows
from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import ROW, ROW_SCHEMA, BadRow, read_metadata
from bioscan5m_hf.release.metadata.rows import in_file_order
from bioscan5m_hf.schema.columns import RANKS, SPLITS, Split, split_named
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, VocabularyCounter, to_parquet
from bioscan5m_hf.sources.cache import made_once
from bioscan5m_hf.storage.identity import digest_of, file_identity
from bioscan5m_hf.storage.path import RemotePath

# Raised when an index is made in another way than before.
INDEX_VERSION: Final = "3"
"""A part of the key of everything in the cache."""

_LARGEST: Final = split_named("pretrain")
_REPORT: Final = "report.json"
_ROWS: Final = "rows.arrow"
_EVERY: Final = "every.arrow"
_COMPRESSION: Final = "lz4"

_log = logging.getLogger("bioscan5m_hf")


@dataclass(frozen=True, slots=True)
class MetadataIndex:
    """The metadata of a release in the cache.

    Attributes:
        folder: Where: the records in runs, and their order.
        key: What tells the metadata from others; an index of all records has the key of one that
            keeps few of them, since the same rows come out of both.
        rows: How many records each split has, under upstream's names.
        whole: Whether the records of all splits are kept, or those of the small ones.
    """

    folder: Path
    key: str
    rows: dict[str, int]
    whole: bool

    def vocabularies(self) -> Path:
        """Where the vocabularies are, which are counted when they are first asked for.

        Raises:
            OSError: There is no room in the cache.
        """
        assert self.whole, "they are over all records"
        folder = self.folder.with_name(f"vocabularies-{self.key}")
        return made_once(folder, self._write_vocabularies) / VOCABULARIES_NAME

    def _write_vocabularies(self, work: Path) -> None:
        counter = VocabularyCounter()
        for batch in read_stored(self.folder / _ROWS, [*RANKS, "split"]):
            counter.add(batch)
        (work / VOCABULARIES_NAME).write_bytes(to_parquet(counter.vocabularies()))

    def of_split(self, split: Split) -> SortedRuns:
        """The records of a split in the order of md5(processid)."""
        assert self.whole or split != _LARGEST, "its records are not kept"
        return of_split(kept_order(self.folder / _ROWS), split)

    def records(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of the records of all splits, in the order of the metadata file."""
        assert self.whole, "the records of the largest split are not kept"
        batches = list(read_stored(self.folder / _ROWS, [*columns, ROW]))
        if not batches:
            return pa.schema([ROW_SCHEMA.field(name) for name in columns]).empty_table()
        return pa.Table.from_batches(batches).sort_by(ROW).select(list(columns))


def of_split(rows: SortedRuns, split: Split) -> SortedRuns:
    """The rows of one split.

    Args:
        rows: Rows in the order of the splits.
        split: The split.
    """
    number = SPLITS.index(split)
    start, stop = split_edges(rows.keys)[number : number + 2].tolist()
    return rows.choose(slice(start, stop))


def index_metadata(
    file: MetadataFile, cache: Path, splits: Collection[Split], *, skip: bool
) -> MetadataIndex:
    """Read the metadata once, and keep them in order.

    Args:
        file: The metadata, local or remote.
        cache: Where indexes are kept.
        splits: Those whose records are wanted. Where ``pretrain`` is not among them its records are
            not kept, unless an index with them is there already, or the metadata are remote.
        skip: Leave out records that do not fit the schema, and warn, instead of stopping.

    Raises:
        MetadataError: A record does not fit, or a processid stands in two.
        OutputError: There is no room in the cache.
    """
    key = digest_of(INDEX_VERSION, file_identity(file.path), file.member or "", str(skip))
    all_kept, few_kept = cache / f"metadata-{key}", cache / f"metadata-of-few-{key}"
    # To fetch gigabytes a second time would cost more than to keep them.
    whole = _LARGEST in splits or isinstance(file.path, RemotePath) or all_kept.is_dir()
    folder = all_kept if whole else few_kept
    made_once(folder, lambda work: _write_metadata(file, work, skip=skip, whole=whole))
    report = json.loads((folder / _REPORT).read_bytes())
    return MetadataIndex(folder, key, report["rows"], whole)


def _write_metadata(file: MetadataFile, work: Path, *, skip: bool, whole: bool) -> None:
    bad: list[BadRow] = []
    batches = read_metadata(file, bad.append if skip else None, _log.warning)
    if whole:
        kept = sort_rows(batches, work / _ROWS, ROW_SCHEMA, compression=_COMPRESSION)
        every = kept = _checked(kept, file.label)
    else:
        every, kept = _sort_few(batches, work)
        every = _checked(every, file.label)
        # No processid stands twice, but the keys of two may be equal, which settles their order.
        kept, _ = single_rows(kept)
        (work / _EVERY).unlink()
    if bad:
        first = in_file_order(bad)[0]
        _log.warning(
            "%s: %d records are left out; the first is row %d (%s)",
            file.label,
            len(bad),
            first.row,
            first.detail,
        )
    keep_order(kept)
    numbers = np.diff(split_edges(every.keys)).tolist()
    counts = {split.name: number for split, number in zip(SPLITS, numbers, strict=True)}
    (work / _REPORT).write_text(json.dumps({"rows": counts, "left_out": len(bad)}))


def _sort_few(batches: Iterable[pa.RecordBatch], work: Path) -> tuple[SortedRuns, SortedRuns]:
    """Sort the processids of all records, and whole records of all splits but the largest."""
    # Two are filled at a time.
    limit = RUN_BYTES // 2
    with RunWriter(work / _ROWS, ROW_SCHEMA, compression=_COMPRESSION, limit=limit) as runs:

        def passing_by() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                few = batch.filter(pc.not_equal(batch["split"], _LARGEST.name))
                add_rows(runs, few, ROW_SCHEMA)
                yield batch

        every = sort_rows(passing_by(), work / _EVERY, LEAST_SCHEMA, limit=limit)
        return every, runs.finish()


def _checked(rows: SortedRuns, label: str) -> SortedRuns:
    """The rows in their order, each processid once.

    Raises:
        MetadataError: A processid stands in two rows.
    """
    single, repeated = single_rows(rows)
    if repeated:
        found = min(repeated, key=lambda each: (each.first, each.row))
        raise MetadataError(
            f"the processid {found.processid} stands already in row {found.first}",
            where=f"{label}: row {found.row}",
            fix="remove one of them",
        )
    return single
