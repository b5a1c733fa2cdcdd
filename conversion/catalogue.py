"""The catalogue: metadata joined with where each image lies, out of core.

DuckDB sorts five million rows by split and md5(processid) and joins them with the directories of
the zips in a few hundred megabytes; what does not fit is put aside in the work folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import IMAGE_SCHEMA, Stray, read_images
from bioscan5m_hf.release.layout import member_name
from bioscan5m_hf.release.metadata.read import ROW_SCHEMA, BadRow, OnBadRow
from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import SPLITS, Split, column_names
from conversion.database import BATCH_ROWS, Database
from conversion.held_rows import KEY_SCHEMA, HeldRows
from conversion.rejects import NO_ROW, Finding

# What upstream's texts of some 150,000 specimens take.
_HELD_BYTES: Final = 128 << 20
_ROW_GROUP: Final = 8192
_SPLIT_NAMES: Final = pa.array([split.name for split in SPLITS])

# The order of a configuration: upstream's splits, and md5(processid) within each. It is a fixed
# random order, and consecutive rows lie in the same folder of upstream's zips.
_ORDER: Final = "split_number, md5(processid), processid"

# A directory may claim any size; more than an image can have counts as that.
_BYTES: Final = f"coalesce(sum(least(size, {MAX_IMAGE_BYTES})), 0)::BIGINT"


@dataclass(frozen=True, slots=True)
class SplitCount:
    """How the specimens of one split and package fit.

    Attributes:
        split: The split.
        specimens: Rows of the metadata.
        with_image: Rows that have an image.
        bytes: Plain bytes of these images.
    """

    split: Split
    specimens: int
    with_image: int
    bytes: int


class Catalogue(Database):
    """The specimens of a release and where their images lie.

    Args:
        work: A folder for what does not fit into memory; whoever made it removes it.
        threads: How many processors it may use.
    """

    def __init__(self, work: Path, *, threads: int) -> None:
        super().__init__(work, threads=threads)
        self._held: HeldRows | None = None
        splits = pa.table(
            {
                "split": [s.name for s in SPLITS],
                "split_number": pa.array(range(len(SPLITS)), "int8"),
            }
        )
        self._take_small("splits", splits)

    # ------------------------------------------------------------------------------ metadata

    def load_metadata(self, batches: Iterator[pa.RecordBatch], *, slim: bool = False) -> None:
        """Take in the metadata.

        Args:
            batches: What ``read_metadata`` yields; what it raises is raised here.
            slim: Keep only what decides the order, for looking at a release.
        """
        if slim:
            self._take_specimens(KEY_SCHEMA, batches)
            return
        held = HeldRows(_HELD_BYTES)
        if held.take_in(batches):
            self._take_specimens(KEY_SCHEMA, iter(held.batches))
            self._held = held
        else:
            self._take_specimens(ROW_SCHEMA, chain(_emptied(held.batches), batches))

    def _take_specimens(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self._take(
            "specimens", _numbered(schema), (_number(b.select(schema.names)) for b in batches)
        )

    def settle_rows(self, label: str, on_bad_row: OnBadRow | None = None) -> None:
        """See to it that no processid stands in two rows.

        Args:
            label: How messages name the metadata.
            on_bad_row: Takes each row whose processid stands in an earlier one, which is then
                left out. By default such a row is an error.

        Raises:
            MetadataError: A processid stands twice.
        """
        query = """
            SELECT row, processid, split, first FROM (
                SELECT row, processid, split, min(row) OVER (PARTITION BY processid) AS first
                FROM specimens WHERE processid IN (
                    SELECT processid FROM specimens GROUP BY processid HAVING count(*) > 1))
            WHERE row <> first ORDER BY row
        """
        rows: list[int] = []
        for row, processid, split, first in self._rows(query):
            detail = f"the processid {processid} stands already in row {first}"
            if on_bad_row is None:
                raise MetadataError(
                    detail,
                    where=f"{label}: row {row}",
                    fix="remove one of them, or convert with --on-error record to keep the first",
                )
            on_bad_row(BadRow(row, processid, split, "duplicate", detail))
            rows.append(row)
        if rows:
            numbers = pa.table({"row": pa.array(rows, pa.uint64())})
            self._take_small("left_out", numbers)
            self._run("DELETE FROM specimens WHERE row IN (SELECT row FROM left_out)")

    def place_rows(self) -> list[tuple[Split, int]]:
        """Fix the order of the specimens; returns how many each split has."""
        self._run(
            f"CREATE OR REPLACE TABLE positions AS SELECT split_number, processid, row "
            f"FROM specimens ORDER BY {_ORDER}"
        )
        counts = dict(
            self._rows("SELECT split_number, count(*) FROM positions GROUP BY split_number")
        )
        return [(split, counts.get(number, 0)) for number, split in enumerate(SPLITS)]

    def sorted_rows(self) -> Iterator[pa.RecordBatch]:
        """Upstream's columns of every specimen, in the order of the positions."""
        with self._explained():
            reading = self._way_in()
            if self._held:
                found = reading.sql("SELECT row FROM positions").to_arrow_table()
                yield from self._held.in_order(found["row"].to_numpy())
                return
            names = ", ".join(f'"{name}"' for name in column_names())
            query = f"SELECT {names} FROM specimens ORDER BY {_ORDER}"
            yield from reading.sql(query).to_arrow_reader(BATCH_ROWS)

    # -------------------------------------------------------------------------------- images

    def load_images(self, selection: Selection, splits: Sequence[Split]) -> list[Stray]:
        """Read where the images of a package lie.

        Args:
            selection: The package's archives and folders.
            splits: The splits that are wanted; images of others are passed over.

        Returns:
            What lies in the archives and is not an image in its place.

        Raises:
            ArchiveError: An archive is damaged, or a member that is wanted is encrypted.
        """
        strays: list[Stray] = []
        batches = read_images(selection, splits, strays.append)
        self._take("images", _numbered(IMAGE_SCHEMA), map(_number, batches))
        return strays

    def settle_duplicates(self, labels: Sequence[str]) -> list[Finding]:
        """Keep one place of each image; returns those whose places hold different bytes.

        An image that no specimen has is an orphan, whatever its places hold.

        Args:
            labels: How messages name each source, by its number.
        """
        repeated = "SELECT split_number, processid FROM images GROUP BY ALL HAVING count(*) > 1"
        if next(self._rows(f"{repeated} LIMIT 1"), None) is None:
            return []
        self._run(f"CREATE OR REPLACE TABLE repeated AS {repeated}")
        conflicts = f"""
            SELECT processid, split_number, list(source ORDER BY rank, source),
                list(folder ORDER BY rank, source), list(ending ORDER BY rank, source)
            FROM images SEMI JOIN repeated USING (split_number, processid)
            SEMI JOIN positions USING (split_number, processid)
            GROUP BY split_number, processid
            HAVING min(size) <> max(size) OR min(crc) <> max(crc)
            ORDER BY {_ORDER}
        """
        findings = [
            Finding(
                "conflicting-images",
                processid,
                SPLITS[split].name,
                labels[sources[0]],
                member_name(folders[0], processid, endings[0]),
                f"other bytes under the same name in {labels[sources[1]]}",
            )
            for processid, split, sources, folders, endings in self._rows(conflicts)
        ]
        self._run("""
            DELETE FROM images WHERE rowid IN (
                SELECT rowid FROM images SEMI JOIN repeated USING (split_number, processid)
                QUALIFY row_number() OVER (
                    PARTITION BY split_number, processid ORDER BY rank, source, "offset") > 1)
        """)
        return findings

    def missing_images(self, splits: Sequence[Split]) -> Iterator[tuple[str, str]]:
        """The processid and split of each specimen without an image, in order."""
        query = f"""
            SELECT processid, split FROM positions JOIN splits USING (split_number)
            ANTI JOIN images USING (split_number, processid)
            WHERE split IN ({_listed(splits)}) ORDER BY {_ORDER}
        """
        yield from self._rows(query)

    def orphan_images(self, labels: Sequence[str]) -> Iterator[Finding]:
        """The images without a row in the metadata, in order."""
        self._run("""
            CREATE OR REPLACE TEMP TABLE orphans AS
            SELECT split_number, processid, source, folder, ending
            FROM images ANTI JOIN positions USING (split_number, processid)
        """)
        query = """
            SELECT processid, split, source, folder, ending, positions.split_number
            FROM orphans JOIN splits USING (split_number)
            LEFT JOIN positions USING (processid)
            ORDER BY orphans.split_number, md5(processid), processid
        """
        for processid, split, source, folder, ending, actual in self._rows(query):
            told = (
                NO_ROW if actual is None else (f"the metadata places it in {SPLITS[actual].name}")
            )
            member = member_name(folder, processid, ending)
            yield Finding("orphan-image", processid, split, labels[source], member, told)

    def drop_images(self, findings: Sequence[Finding]) -> None:
        """Forget images, so that their specimens are left out."""
        columns = {name: [getattr(f, name) for f in findings] for name in ("split", "processid")}
        self._take_small("dropped", pa.table(columns))
        self._run("""
            DELETE FROM images WHERE (split_number, processid) IN (
                SELECT (split_number, processid) FROM dropped JOIN splits USING (split))
        """)

    def count_splits(self, splits: Sequence[Split]) -> list[SplitCount]:
        """How many specimens of each split there are, and how many have an image."""
        query = f"""
            SELECT split_number, count(*), count(size), {_BYTES}
            FROM positions LEFT JOIN images USING (split_number, processid) GROUP BY split_number
        """
        found = {number: counts for number, *counts in self._rows(query)}
        return [SplitCount(split, *found.get(SPLITS.index(split), (0, 0, 0))) for split in splits]

    def count_sources(self) -> dict[int, tuple[int, int]]:
        """How many images are taken from each source, and their plain bytes."""
        query = f"SELECT source, count(*), {_BYTES} FROM images GROUP BY source"
        return {source: (images, size) for source, images, size in self._rows(query)}

    def write_members(self, path: Path) -> None:
        """Write where the images lie, in the order of the specimens, as Parquet.

        Args:
            path: The file; its column ``position`` numbers the specimens of the metadata.
        """
        self._run(
            f"""
            COPY (
                SELECT positions.rowid AS position, split_number,
                    images.* EXCLUDE (split, split_number, rank)
                FROM positions JOIN images USING (split_number, processid)
                ORDER BY positions.rowid
            ) TO '{str(path).replace("'", "''")}' (
                FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})
            """
        )


def _emptied(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Hand out batches and forget them."""
    while batches:
        yield batches.pop(0)


def _numbered(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("split_number", pa.int8()))


def _number(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Add the number of each row's split, so that the database need not look it up.

    It would, with rows whose number it does not know beforehand, keep all of them in memory.
    """
    numbers = pc.index_in(batch.column("split"), _SPLIT_NAMES).cast(pa.int8())
    return pa.record_batch([*batch.columns, numbers], schema=_numbered(batch.schema))


def _listed(splits: Sequence[Split]) -> str:
    return ", ".join(f"'{split.name}'" for split in splits)
