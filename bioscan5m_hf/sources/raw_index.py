"""The index of a raw release: its metadata, and where the image of each specimen lies.

Both are kept as Parquet files in a cache and made again where the release has changed. DuckDB
joins and sorts them, out of core where they do not fit into memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import MetadataError, MismatchError
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import IMAGE_SCHEMA, Stray, read_images, source_labels
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import ROW_SCHEMA, BadRow, read_metadata
from bioscan5m_hf.schema.columns import SPLITS, Split, column_names
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, VocabularyCounter, to_parquet
from bioscan5m_hf.sources.cache import database_in, made_once
from bioscan5m_hf.sources.regrouped import regrouped
from bioscan5m_hf.storage.identity import digest_of, file_identity, identity_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCATION_COLUMNS: Final = (
    "source",
    "folder",
    "ending",
    "offset",
    "compressed",
    "size",
    "crc",
    "method",
)
"""The columns of a plan beside upstream's: where the image lies."""

# Raised when an index is made in another way than before.
_INDEX_VERSION: Final = "2"
_SHOWN: Final = 5
_BATCH_ROWS: Final = 4096
# A piece is what one worker reads: small splits make at least this many, to go round.
_FEWEST_PIECES: Final = 16
_REPORT: Final = "report.json"
_IMAGES: Final = "images.parquet"
_PLAN: Final = "plan.parquet"

_log = logging.getLogger("bioscan5m_hf")


@dataclass(frozen=True, slots=True)
class MetadataIndex:
    """The metadata of a release in the cache.

    Attributes:
        folder: Where: one Parquet file for each split, and the vocabularies.
        key: What tells it from the index of other metadata.
        rows: How many records each split has, under upstream's names.
    """

    folder: Path
    key: str
    rows: dict[str, int]

    @property
    def vocabularies(self) -> Path:
        """Where the vocabularies are."""
        return self.folder / VOCABULARIES_NAME

    def table(self, split: Split) -> Path:
        """Where the records of a split are, in the order of the metadata.

        Args:
            split: The split.
        """
        return self.folder / f"{split.name}.parquet"


def index_metadata(file: MetadataFile, cache: Path, *, skip: bool) -> MetadataIndex:
    """Read the metadata once, and keep them by split.

    Args:
        file: The metadata, local or remote.
        cache: Where indexes are kept.
        skip: Leave out records that do not fit the schema, and warn, instead of stopping.

    Raises:
        MetadataError: A record does not fit, or a processid stands in two.
    """
    key = digest_of(_INDEX_VERSION, file_identity(file.path), file.member or "", str(skip))
    folder = made_once(cache / f"metadata-{key}", lambda work: _write_metadata(file, work, skip))
    report = json.loads((folder / _REPORT).read_bytes())
    return MetadataIndex(folder, key, report["rows"])


def _write_metadata(file: MetadataFile, work: Path, skip: bool) -> None:
    bad: list[BadRow] = []
    counter = VocabularyCounter()
    rows = dict.fromkeys((split.name for split in SPLITS), 0)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for batch in read_metadata(file, bad.append if skip else None, _log.warning):
            counter.add(batch)
            table = pa.Table.from_batches([batch])
            for split in SPLITS:
                of_split = table.filter(pa.compute.field("split") == split.name)
                if not of_split.num_rows:
                    continue
                if split.name not in writers:
                    path = work / f"{split.name}.parquet"
                    writers[split.name] = stack.enter_context(
                        pq.ParquetWriter(path, ROW_SCHEMA, compression="zstd")
                    )
                writers[split.name].write_table(of_split)
                rows[split.name] += of_split.num_rows
    _check_unique(file, [work / f"{name}.parquet" for name, count in rows.items() if count], work)
    if bad:
        first = bad[0]
        _log.warning(
            "%s: %d records are left out; the first is row %d (%s)",
            file.label,
            len(bad),
            first.row,
            first.detail,
        )
    (work / VOCABULARIES_NAME).write_bytes(to_parquet(counter.vocabularies()))
    (work / _REPORT).write_text(json.dumps({"rows": rows, "left_out": len(bad)}))


def _check_unique(file: MetadataFile, tables: list[Path], work: Path) -> None:
    query = """
        SELECT processid, list(row ORDER BY row) FROM read_parquet(?)
        GROUP BY processid HAVING count(*) > 1 ORDER BY min(row) LIMIT 1
    """
    with database_in(work) as database:
        found = database.execute(query, [list(map(str, tables))]).fetchone() if tables else None
    if found is not None:
        processid, rows = found
        raise MetadataError(
            f"the processid {processid} stands already in row {rows[0]}",
            where=f"{file.label}: row {rows[1]}",
            fix="remove one of them",
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The specimens of one package and split, each with where its image lies.

    Attributes:
        path: A Parquet file: upstream's columns, then those of ``LOCATION_COLUMNS``; a row group
            is what one piece reads.
        groups: How many row groups it has.
        key: What tells it from the plan of other data.
    """

    path: Path
    groups: int
    key: str


def plan_metadata(index: MetadataIndex, split: Split, cache: Path) -> Plan:
    """Sort the records of a split by md5(processid).

    Args:
        index: The metadata.
        split: The split.
        cache: Where plans are kept.
    """
    key = digest_of(_INDEX_VERSION, index.key, split.name)

    def write(work: Path) -> None:
        with database_in(work) as database:
            query = f"SELECT {_upstream()} FROM read_parquet(?) ORDER BY md5(processid), processid"
            _write_plan(database, query, [str(index.table(split))], index.rows[split.name], work)

    return _plan(made_once(cache / f"rows-{key}", write), key)


def plan_images(
    index: MetadataIndex,
    selection: Selection,
    split: Split,
    cache: Path,
    *,
    skip: bool,
    in_archive_order: bool,
) -> Plan:
    """Join the records of a split with where their images lie.

    Args:
        index: The metadata.
        selection: The archives and folders of the package.
        split: The split.
        cache: Where plans are kept.
        skip: Leave out specimens without an image, and warn, instead of stopping.
        in_archive_order: Sort by where the images lie, for reading long stretches over a network;
            else by md5(processid), as converted shards are.

    Raises:
        ArchiveError: An archive is damaged.
        MismatchError: A specimen has no image, or two that differ.
    """
    listed = digest_of(_INDEX_VERSION, selection.package, selection_identity(selection))
    key = digest_of(listed, index.key, split.name, str(skip), str(in_archive_order))

    def write(work: Path) -> None:
        images = made_once(
            cache / f"images-{listed}", lambda below: _write_images(selection, below)
        )
        join = _Join(index, selection, split, images / _IMAGES, skip)
        order = 'source, "offset", folder, processid' if in_archive_order else "md5(processid)"
        join.write(work, order)

    return _plan(made_once(cache / f"plan-{key}", write), key)


def selection_identity(selection: Selection) -> str:
    """The identity of the archives and folders of a package.

    Args:
        selection: The archives and folders.
    """
    # The top counts too: a link that led out of it may lead inside of another one.
    folders = [f"{folder.split.name} {folder.top.resolve()}" for folder in selection.folders]
    files = [archive.path for archive in selection.archives]
    found = identity_of(files, (folder.path for folder in selection.folders))
    return digest_of(found, *source_labels(selection), *folders)


def _write_images(selection: Selection, work: Path) -> None:
    strays: list[Stray] = []
    with pq.ParquetWriter(work / _IMAGES, IMAGE_SCHEMA, compression="zstd") as writer:
        for batch in read_images(selection, SPLITS, strays.append):
            writer.write_batch(batch)
    if lost := [stray for stray in strays if stray.image]:
        _log.warning(
            "%s: %d images are not where upstream puts them and are not read; the first is %s",
            lost[0].archive,
            len(lost),
            lost[0].member,
        )


@dataclass(frozen=True, slots=True)
class _Join:
    """The join of the records of a split with the images of a package."""

    index: MetadataIndex
    selection: Selection
    split: Split
    images: Path
    skip: bool

    def write(self, work: Path, order: str) -> None:
        with database_in(work) as database:
            database.execute(
                "CREATE TABLE images AS SELECT * EXCLUDE split FROM read_parquet(?) WHERE split=?",
                [str(self.images), self.split.name],
            )
            database.execute(
                "CREATE TABLE ids AS SELECT processid FROM read_parquet(?)",
                [str(self.index.table(self.split))],
            )
            self._settle(database)
            missing = self._missing(database)
            places = ", ".join(f'"{name}"' for name in LOCATION_COLUMNS)
            query = f"""
                SELECT {_upstream()}, {places}
                FROM read_parquet(?) JOIN images USING (processid) ORDER BY {order}
            """
            rows = self.index.rows[self.split.name] - missing
            _write_plan(database, query, [str(self.index.table(self.split))], rows, work)

    def _settle(self, database: DuckDBPyConnection) -> None:
        """Keep one place of each image, and see that its places hold the same bytes."""
        repeated = "SELECT processid FROM images GROUP BY processid HAVING count(*) > 1"
        if database.execute(f"{repeated} LIMIT 1").fetchone() is None:
            return
        conflicts = database.execute(f"""
            SELECT processid, list(source ORDER BY rank, source) FROM images
            WHERE processid IN ({repeated}) GROUP BY processid
            HAVING min(size) <> max(size) OR min(crc) <> max(crc) ORDER BY md5(processid)
        """).fetchall()
        if conflicts:
            processid, sources = conflicts[0]
            labels = source_labels(self.selection)
            self._refuse(
                f"{len(conflicts):,} images stand in two archives with different bytes; the first "
                f"is {processid}, in {labels[sources[0]]} and {labels[sources[1]]}",
                "remove the archive that is wrong",
            )
            names = [processid for processid, _ in conflicts]
            database.execute("DELETE FROM images WHERE list_contains(?, processid)", [names])
        database.execute("""
            DELETE FROM images WHERE rowid IN (
                SELECT rowid FROM images
                QUALIFY row_number() OVER (
                    PARTITION BY processid ORDER BY rank, source, "offset") > 1)
        """)

    def _missing(self, database: DuckDBPyConnection) -> int:
        """How many records have no image; and a warning about images that have no record."""
        orphans = database.execute(
            "SELECT processid FROM images ANTI JOIN ids USING (processid) ORDER BY processid"
        ).fetchall()
        if orphans:
            _log.warning(
                "%s, %s: %d images have no record in the metadata and are not read (%s)",
                self.selection.package,
                self.split.name,
                len(orphans),
                _named(orphans),
            )
        missing = database.execute(
            "SELECT processid FROM ids ANTI JOIN images USING (processid) ORDER BY processid"
        ).fetchall()
        if missing:
            self._refuse(
                f"{len(missing):,} specimens of {self.split.name} have no image of "
                f"{self.selection.package} ({_named(missing)})",
                "add the archive that is missing",
            )
        return len(missing)

    def _refuse(self, found: str, fix: str) -> None:
        if not self.skip:
            labels = ", ".join(source_labels(self.selection))
            raise MismatchError(
                found, where=labels, fix=f'{fix}, or leave these out with on_error="skip"'
            )
        _log.warning("%s; they are left out", found)


def _named(rows: Sequence[tuple[Any, ...]]) -> str:
    names = [str(row[0]) for row in rows[:_SHOWN]]
    return ", ".join(names) + (", …" if len(rows) > _SHOWN else "")


def _upstream() -> str:
    return ", ".join(f'"{name}"' for name in column_names())


# ------------------------------------------------------------------------------------ plumbing


def _write_plan(
    database: DuckDBPyConnection, query: str, parameters: list[str], rows: int, work: Path
) -> None:
    reader = database.sql(query, params=parameters).to_arrow_reader(_BATCH_ROWS)
    size = min(_BATCH_ROWS, max(1, -(-rows // _FEWEST_PIECES)))
    with pq.ParquetWriter(work / _PLAN, reader.schema, compression="zstd") as writer:
        for table in regrouped(reader, size):
            writer.write_table(table, row_group_size=size)


def _plan(folder: Path, key: str) -> Plan:
    path = folder / _PLAN
    return Plan(path, pq.read_metadata(path).num_row_groups, key)
