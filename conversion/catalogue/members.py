"""Write the list of a package's images, in the order of the specimens, to work files.

One file has the sorted images. The other has the place of each image in the first file, and the
specimen it belongs to. Each shard reads its part of both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.catalogue.images import Located
from bioscan5m_hf.catalogue.keys import split_numbers
from bioscan5m_hf.catalogue.runs import read_rows
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import LOCATION_COLUMNS
from bioscan5m_hf.storage.disk import output_error
from conversion.catalogue.catalogue import Catalogue, ListedImages
from conversion.catalogue.reconcile import Reconciliation, SplitCount, plain_sizes, reconcile
from conversion.catalogue.sources import Choice
from conversion.derive.bbox import (
    BOX_FIELDS,
    PLANNED,
    VARIANTS,
    Boxes,
    box_areas,
    read_boxes,
    require_boxes,
)
from conversion.derive.recipe import Recipe

# Readers compute the number of a batch from a row, so all batches but the last have this length.
_BATCH_ROWS: Final = 8192
_COLUMNS: Final = ("processid", *LOCATION_COLUMNS)
_PLACE: Final = "place"
_PLACE_FIELDS: Final = (
    pa.field(_PLACE, pa.uint32()),
    pa.field("position", pa.int64()),
    pa.field("split_number", pa.int8()),
)
# The keys in the metadata of the second file, for values about the first file.
_FOLDERS: Final = b"folders"
_IMAGES: Final = b"images"


@dataclass(frozen=True, slots=True)
class MemberList:
    """The locations of the images of one package.

    Attributes:
        selection: Its sources.
        counts: For each requested split, how many specimens it has and how many have an image.
        reconciliation: The mismatches.
        path: The file with a row for each image, in the order of the specimens. The location of
            each image is in a second file beside it.
        splits: The number of the split of each image.
        planned: The uncompressed size of each image in bytes, known or expected.
        deciding: Columns that decide the bytes of a shard, in addition to the metadata and the
            recipe: one value for each image.
        recipe: How the package is made from its sources; ``None`` if images pass through.
    """

    selection: Selection
    counts: tuple[SplitCount, ...]
    reconciliation: Reconciliation
    path: Path
    splits: npt.NDArray[np.int8]
    planned: npt.NDArray[np.int64]
    deciding: tuple[npt.NDArray[np.generic], ...]
    recipe: Recipe | None = None

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.recipe.package if self.recipe else self.selection.package


def list_members(
    catalogue: Catalogue,
    choice: Choice,
    work: Path,
    *,
    record: bool,
    listed: ListedImages | None = None,
) -> MemberList:
    """Join the images of a package with the metadata, and write their locations.

    Args:
        catalogue: The catalogue, after ``settle_rows``.
        choice: The sources of the package.
        work: The folder to write to.
        record: Whether mismatches are recorded instead of being errors.
        listed: The images of the package, if they are already listed.

    Raises:
        ArchiveError: An archive cannot be read.
        MetadataError: The bounding boxes cannot be read.
        MismatchError: Bounding boxes are missing, and that is not recorded.
        OutputError: There is no room for the list.
    """
    selection, recipe = choice.selection, choice.recipe
    listed = listed or catalogue.list_images(selection, choice.splits)
    joined = reconcile(catalogue, selection, choice.splits, listed)
    boxes = None
    if recipe and recipe.crop:
        assert choice.bbox is not None, "a recipe that crops has bounding boxes"
        boxes = read_boxes(choice.bbox, catalogue.work)
    located = joined.located.found()
    path = work / f"members-{choice.package}.arrow"
    # Named after the package, because another package may be made from the same images.
    images = work / f"images-of-{choice.package}.arrow"
    writing = _Writing(located, recipe, boxes, images)
    try:
        located.images.rows.path.replace(images)
        writing.write(path)
    except OSError as error:
        raise output_error(error, path) from error
    if boxes and not record:
        require_boxes(writing.boxless, str(choice.bbox))
    splits = split_numbers(located.images.rows.keys)
    return MemberList(
        selection,
        joined.counts,
        joined.reconciliation,
        path,
        splits,
        writing.planned,
        (located.positions, located.sizes, located.crcs, *writing.boxes_found()),
        recipe,
    )


class _Writing:
    """The list of images while it is written, and the columns that are kept in memory."""

    def __init__(
        self, located: Located, recipe: Recipe | None, boxes: Boxes | None, images: Path
    ) -> None:
        self._located = located
        self._recipe = recipe
        self._boxes = boxes
        self._images = images
        self._schema = self._columns()
        self._kept: list[pa.RecordBatch] = []
        self.planned = plain_sizes(located.sizes)
        self.boxless: list[str] = []

    def write(self, path: Path) -> None:
        """Write the list; raises ``OSError`` if that fails."""
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._schema) as writer:
            for start in range(0, len(self._located.positions), _BATCH_ROWS):
                writer.write_batch(self._batch(slice(start, start + _BATCH_ROWS)))

    def _columns(self) -> pa.Schema:
        derived = [pa.field(PLANNED, pa.int64())] if self._recipe else []
        boxes = BOX_FIELDS if self._boxes else []
        folders = json.dumps(self._located.images.folders).encode()
        metadata = {_FOLDERS: folders, _IMAGES: self._images.name.encode()}
        return pa.schema([*_PLACE_FIELDS, *boxes, *derived], metadata)

    def _batch(self, here: slice) -> pa.RecordBatch:
        rows = self._located.images.rows
        columns: dict[str, pa.Array] = {
            _PLACE: pa.array(rows.places[here]),
            "position": pa.array(self._located.positions[here]),
            "split_number": pa.array(split_numbers(rows.keys[here])),
        }
        areas = np.zeros(len(rows.places[here]), np.int64)
        if self._boxes:
            names = read_rows(self._images, rows.places[here], ["processid"])["processid"]
            found = self._boxes.find(names, rows.keys[here])
            columns |= {name: found[name] for name in found.schema.names}
            self.boxless += names.filter(found[VARIANTS].is_null()).to_pylist()
            self._kept.append(found)
            areas = box_areas(found)
        if self._recipe:
            self.planned[here] = self._recipe.planned_bytes(areas)
            columns[PLANNED] = pa.array(self.planned[here])
        names = self._schema.names
        return pa.record_batch([columns[name] for name in names], schema=self._schema)

    def boxes_found(self) -> list[npt.NDArray[np.generic]]:
        """The boxes of all images, column by column."""
        if not self._kept:
            return []
        columns = pa.Table.from_batches(self._kept).columns
        return [values.fill_null(0).to_numpy() for values in columns]


def read_members(path: str, start: int, stop: int) -> pa.Table:
    """Read a part of the list of a package's images.

    Args:
        path: The file.
        start: The number of the first image.
        stop: The number after the last image.
    """
    # Not memory-mapped, because mapped pages count as memory of this process.
    with pa.OSFile(path) as file:
        batches = pa.ipc.open_file(file)
        metadata = batches.schema.metadata
        first = start // _BATCH_ROWS
        numbers = range(first, min(-(-stop // _BATCH_ROWS), batches.num_record_batches))
        table = pa.Table.from_batches(
            [batches.get_batch(number) for number in numbers], batches.schema
        )
    table = table.slice(start - first * _BATCH_ROWS, stop - start)
    images = Path(path).with_name(metadata[_IMAGES].decode())
    rows = read_rows(images, table[_PLACE].to_numpy(), _COLUMNS)
    folders = pa.array(json.loads(metadata[_FOLDERS]), pa.string())
    columns = {name: rows[name] for name in _COLUMNS}
    columns["folder"] = pa.DictionaryArray.from_arrays(rows["folder"], folders)
    columns |= {name: table[name] for name in table.column_names if name != _PLACE}
    return pa.table(columns)
