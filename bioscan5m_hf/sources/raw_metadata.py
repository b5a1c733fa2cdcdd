"""Index the metadata of a raw release: sort its records once, and store them in the cache.

Nine of ten records belong to the split ``pretrain``. If it is not requested, the index leaves out
its records: all records are read and checked, but few are written. Vocabularies are counted over
all records, so they need the index of all of them. They are counted only when they are requested,
because counting would take a fifth of the time.
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

# To be raised when the content of an index changes.
INDEX_VERSION: Final = "3"
"""A part of every key in the cache."""

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
        folder: The folder with the records, as sorted runs, and their order.
        key: The digest of the metadata. It is the same whether all records are stored or few, since
            both give the same rows.
        rows: How many records each split has, by upstream's names.
        whole: Whether records of all splits are stored, or of all but ``pretrain``.
    """

    folder: Path
    key: str
    rows: dict[str, int]
    whole: bool

    def vocabularies(self) -> Path:
        """The file of the vocabularies; the first call counts them.

        Raises:
            OutputError: The cache cannot be written to.
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
        """The records of a split, sorted by md5(processid)."""
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
        rows: Rows sorted by split.
        split: The split.
    """
    number = SPLITS.index(split)
    start, stop = split_edges(rows.keys)[number : number + 2].tolist()
    return rows.choose(slice(start, stop))


def index_metadata(
    file: MetadataFile, cache: Path, splits: Collection[Split], *, skip: bool
) -> MetadataIndex:
    """Read the metadata once, and store them sorted in the cache.

    Args:
        file: The metadata, local or remote.
        cache: The folder of the indexes.
        splits: The splits whose records are requested. If ``pretrain`` is not among them, its
            records are left out, unless an index with them exists or the metadata are remote.
        skip: Leave out records that do not fit the schema, and warn, instead of stopping.

    Raises:
        MetadataError: A record does not fit the schema, or a processid occurs twice.
        OutputError: The cache cannot be written to.
    """
    key = digest_of(INDEX_VERSION, file_identity(file.path), file.member or "", str(skip))
    all_kept, few_kept = cache / f"metadata-{key}", cache / f"metadata-of-few-{key}"
    # Fetching remote gigabytes a second time would cost more than storing all records.
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
        # Processids are unique here; this call only sorts specimens with equal keys.
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
    """Sort the processids of all records, and the records of all splits but the largest."""
    # Half the limit, because two files are written at a time.
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
    """Check that every processid occurs once, and sort rows with equal keys.

    Raises:
        MetadataError: A processid occurs in two rows.
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
