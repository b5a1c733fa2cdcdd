"""Plan how to read a split of a raw release: list its specimens and where the image of each lies.

Rows have the same order as in a conversion, unless images are remote. Plans are stored in the
cache, and are made again if the release has changed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bioscan5m_hf.catalogue.images import (
    Images,
    Located,
    locate,
    single_images,
    sort_images,
)
from bioscan5m_hf.catalogue.runs import (
    RunWriter,
    keep_order,
    kept_order,
    read_rows,
)
from bioscan5m_hf.catalogue.specimens import Specimens, name_specimens
from bioscan5m_hf.errors import MismatchError, counted
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import (
    IMAGE_SCHEMA,
    LOCATION_COLUMNS,
    Stray,
    read_images,
    source_labels,
)
from bioscan5m_hf.release.metadata.read import ROW_SCHEMA
from bioscan5m_hf.schema.columns import SPLITS, Split, column_names
from bioscan5m_hf.sources.cache import made_once
from bioscan5m_hf.sources.raw_metadata import INDEX_VERSION, MetadataIndex, of_split
from bioscan5m_hf.storage.identity import digest_of, identity_of

_SHOWN: Final = 5
_GROUP_ROWS: Final = 4096
# How many rows are read from sorted runs at a time: whole row groups, and many rows of each run.
_STRETCH: Final = 16 * _GROUP_ROWS
# A worker reads whole pieces, so small splits are cut into at least so many of them.
_FEWEST_PIECES: Final = 16
_ROWS: Final = "rows.arrow"
_IMAGES: Final = "images.arrow"
_FOLDERS: Final = "folders.json"
_PLAN: Final = "plan.parquet"
_COMPRESSION: Final = "lz4"
_PLAIN: Final = pa.schema([ROW_SCHEMA.field(name) for name in column_names()])
_PLACED: Final = pa.schema([*_PLAIN, *(IMAGE_SCHEMA.field(name) for name in LOCATION_COLUMNS)])

_log = logging.getLogger("bioscan5m_hf")


@dataclass(frozen=True, slots=True)
class Plan:
    """The specimens of one package and split, with the location of the image of each.

    Attributes:
        path: A Parquet file: upstream's columns, then those of ``LOCATION_COLUMNS``. Each piece
            reads one row group.
        groups: How many row groups it has.
        key: The digest of the data from which the plan is made.
    """

    path: Path
    groups: int
    key: str


def plan_metadata(index: MetadataIndex, split: Split, cache: Path) -> Plan:
    """Make the plan of a split without images, sorted by md5(processid)."""
    key = digest_of(INDEX_VERSION, index.key, split.name)

    def write(work: Path) -> None:
        rows = index.of_split(split)
        batches = (batch for _, batch in rows.stretches(_STRETCH, column_names()))
        _write_plan(batches, _PLAIN, len(rows), work)

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
    """Join the records of a split with the locations of their images.

    Args:
        index: The metadata.
        selection: The archives and folders of the package.
        split: The split.
        cache: The folder of the plans.
        skip: Leave out specimens without an image, and warn, instead of stopping.
        in_archive_order: Sort by the locations of the images, for reading long stretches over a
            network; else by md5(processid), like converted shards.

    Raises:
        ArchiveError: An archive is damaged.
        MismatchError: A specimen has no image, or two that differ.
        OutputError: The cache cannot be written to.
    """
    listed = digest_of(INDEX_VERSION, selection.package, selection_identity(selection))
    key = digest_of(listed, index.key, split.name, str(skip), str(in_archive_order))

    def write(work: Path) -> None:
        folder = made_once(
            cache / f"images-{listed}", lambda below: _write_images(selection, below)
        )
        folders = tuple(json.loads((folder / _FOLDERS).read_bytes()))
        images = Images(of_split(kept_order(folder / _IMAGES), split), folders)
        specimens = name_specimens(index.of_split(split))
        located = _Join(selection, split, specimens, skip).join(images)
        batches = _joined_rows(located, specimens)
        if in_archive_order:
            batches = _in_archive_order(batches, located, work)
        _write_plan(batches, _PLACED, len(located.positions), work)

    return _plan(made_once(cache / f"plan-{key}", write), key)


def selection_identity(selection: Selection) -> str:
    """The identity of the archives and folders of a package."""
    # Include the top folder, because it decides which links are followed.
    folders = [f"{folder.split.name} {folder.top.resolve()}" for folder in selection.folders]
    files = [archive.path for archive in selection.archives]
    found = identity_of(files, (folder.path for folder in selection.folders))
    return digest_of(found, *source_labels(selection), *folders)


def _write_images(selection: Selection, work: Path) -> None:
    strays: list[Stray] = []
    images = sort_images(read_images(selection, SPLITS, strays.append), work / _IMAGES)
    keep_order(images.rows)
    (work / _FOLDERS).write_text(json.dumps(images.folders))
    if lost := [stray for stray in strays if stray.image]:
        _log.warning(
            "%s: %d images are not where upstream puts them and are not read; the first is %s",
            lost[0].archive,
            len(lost),
            lost[0].member,
        )


@dataclass(frozen=True, slots=True)
class _Join:
    """Joins the records of a split with the images of a package."""

    selection: Selection
    split: Split
    specimens: Specimens
    skip: bool

    def join(self, images: Images) -> Located:
        """Find the image of each specimen, and report everything that does not match."""
        single, conflicts = single_images(images, self.specimens)
        if conflicts:
            first, labels = conflicts[0], source_labels(self.selection)
            self._refuse(
                f"there are different bytes for {counted(len(conflicts), 'image')}; the first is "
                f"{first.processid}, in {labels[first.sources[0]]} and {labels[first.sources[1]]}",
                "keep only the archive that is right",
            )
        located = locate(single, self.specimens)
        orphans = located.orphans().rows
        if len(orphans):
            _log.warning(
                "%s, %s: %d images have no record in the metadata and are not read (%s)",
                self.selection.package,
                self.split.name,
                len(orphans),
                _named(orphans.take(["processid"])["processid"]),
            )
        found = located.found()
        lacking = np.ones(len(self.specimens.names), np.bool_)
        lacking[found.positions] = False
        if lacking.any():
            missing = self.specimens.names.filter(pa.array(lacking))
            self._refuse(
                f"there is no image of {self.selection.package} for "
                f"{counted(len(missing), 'specimen')} of {self.split.name} ({_named(missing)})",
                "add the archive that is missing",
            )
        return found

    def _refuse(self, found: str, fix: str) -> None:
        if not self.skip:
            labels = ", ".join(source_labels(self.selection))
            raise MismatchError(
                found, where=labels, fix=f'{fix}, or leave these out with on_error="skip"'
            )
        _log.warning("%s; they are left out", found)


def _named(processids: pa.Array) -> str:
    names = processids.sort()[:_SHOWN].to_pylist()
    return ", ".join(names) + (", …" if len(processids) > _SHOWN else "")


def _joined_rows(located: Located, specimens: Specimens) -> Iterator[pa.RecordBatch]:
    """Upstream's columns and ``LOCATION_COLUMNS`` of the specimens that have an image."""
    folders = pa.array(located.images.folders, pa.string())
    rows = specimens.rows
    for start, places in located.images.rows.stretches(_STRETCH, LOCATION_COLUMNS):
        positions = located.positions[start : start + places.num_rows]
        held = read_rows(rows.path, rows.places[positions], column_names())
        columns = {name: held[name] for name in held.schema.names}
        columns |= {name: places[name] for name in LOCATION_COLUMNS}
        columns["folder"] = folders.take(places["folder"])
        yield pa.record_batch([columns[name] for name in _PLACED.names], schema=_PLACED)


def _in_archive_order(
    batches: Iterator[pa.RecordBatch], located: Located, work: Path
) -> Iterator[pa.RecordBatch]:
    """Sort rows by the locations of their images."""
    images = located.images
    places = images.rows.take(["source", "offset", "folder", "processid"])
    names = pa.array(images.folders, pa.string()).take(places["folder"])
    places = places.set_column(places.schema.get_field_index("folder"), "folder", names)
    order = pc.sort_indices(places, [(name, "ascending") for name in places.schema.names])
    ranks: npt.NDArray[np.uint64] = np.empty(len(order), np.uint64)
    ranks[order.to_numpy()] = np.arange(len(order), dtype=np.uint64)
    path = work / _ROWS
    with RunWriter(path, _PLACED, compression=_COMPRESSION) as runs:
        start = 0
        for batch in batches:
            runs.add(batch, ranks[start : start + batch.num_rows])
            start += batch.num_rows
        ordered = runs.finish()
    for _, batch in ordered.stretches(_STRETCH, _PLACED.names):
        yield batch
    path.unlink()


def _write_plan(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, rows: int, work: Path
) -> None:
    size = min(_GROUP_ROWS, max(1, -(-rows // _FEWEST_PIECES)))
    with pq.ParquetWriter(work / _PLAN, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_batches([batch]), row_group_size=size)


def _plan(folder: Path, key: str) -> Plan:
    path = folder / _PLAN
    return Plan(path, pq.read_metadata(path).num_row_groups, key)
