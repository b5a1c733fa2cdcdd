"""The list of a package's images in the order of the specimens, in a work file.

Shards read their part of it by position.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.catalogue.images import Located
from bioscan5m_hf.catalogue.keys import split_numbers
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import IMAGE_SCHEMA, LOCATION_COLUMNS
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

# A batch is what is found by its number, so all but the last one have this length.
_BATCH_ROWS: Final = 8192
_COLUMNS: Final = ("processid", *LOCATION_COLUMNS)
_FOLDER: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class MemberList:
    """Where the images of one package lie.

    Attributes:
        selection: Its sources.
        counts: For each split that is wanted, its specimens and how many have an image.
        reconciliation: What does not fit.
        path: The file with a row for each image, in the order of the specimens.
        splits: The number of the split of each image.
        planned: The plain size of each image in bytes, known or expected.
        deciding: Columns that decide the bytes of a shard, beside the metadata and the recipe:
            one value for each image.
        recipe: How the package is made from its sources; ``None`` where images pass through.
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
    """Join the images of a package with the metadata, and write where they lie.

    Args:
        catalogue: With the metadata settled.
        choice: What the package is made of.
        work: The folder to write to.
        record: Whether what does not fit is recorded instead of being an error.
        listed: The images of the package, where they are listed already.

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
    writing = _Writing(located, recipe, boxes)
    try:
        writing.write(path)
    except OSError as error:
        raise output_error(error, path) from error
    # Disks are to have room for shards from here on.
    located.images.rows.path.unlink()
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
        (located.positions, located.sizes, *writing.deciding()),
        recipe,
    )


class _Writing:
    """The list of images while it is written, and what is kept of it in memory."""

    def __init__(self, located: Located, recipe: Recipe | None, boxes: Boxes | None) -> None:
        self._located = located
        self._recipe = recipe
        self._boxes = boxes
        self._folders = pa.array(located.images.folders, pa.string())
        self._kept: list[list[npt.NDArray[np.generic]]] = []
        self.planned = plain_sizes(located.sizes)
        self.boxless: list[str] = []

    def write(self, path: Path) -> None:
        """Write the list; raises what the disk says."""
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self._schema()) as writer:
            for start, batch in self._located.images.rows.stretches(_BATCH_ROWS, _COLUMNS):
                writer.write_batch(self._member_batch(start, batch))

    def _schema(self) -> pa.Schema:
        fields = [IMAGE_SCHEMA.field(name) for name in _COLUMNS]
        fields[_COLUMNS.index("folder")] = pa.field("folder", _FOLDER)
        numbers = [pa.field("position", pa.int64()), pa.field("split_number", pa.int8())]
        derived = [pa.field(PLANNED, pa.int64())] if self._recipe else []
        boxes = BOX_FIELDS if self._boxes else []
        return pa.schema([*numbers, *fields, *boxes, *derived])

    def _member_batch(self, start: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        here = slice(start, start + batch.num_rows)
        keys = self._located.images.rows.keys[here]
        columns = {name: batch[name] for name in _COLUMNS}
        columns["folder"] = pa.DictionaryArray.from_arrays(batch["folder"], self._folders)
        columns["position"] = pa.array(self._located.positions[here])
        columns["split_number"] = pa.array(split_numbers(keys))
        decide = [columns["crc"]]
        if self._boxes:
            found = self._boxes.find(batch["processid"], keys)
            columns |= {name: found[name] for name in found.schema.names}
            decide += found.columns
            lacking = batch["processid"].filter(found[VARIANTS].is_null())
            self.boxless += lacking.to_pylist()
        if self._recipe:
            areas = box_areas(found) if self._boxes else np.zeros(batch.num_rows, np.int64)
            self.planned[here] = self._recipe.planned_bytes(areas)
            columns[PLANNED] = pa.array(self.planned[here])
        self._kept.append([values.fill_null(0).to_numpy() for values in decide])
        schema = self._schema()
        return pa.record_batch([columns[name] for name in schema.names], schema=schema)

    def deciding(self) -> Iterator[npt.NDArray[np.generic]]:
        """CRC and box of each image, column by column."""
        for values in zip(*self._kept, strict=True):
            yield np.concatenate(values)


def read_members(path: str, start: int, stop: int) -> pa.Table:
    """Read a part of the list of a package's images.

    Args:
        path: The file.
        start: The first image.
        stop: The one after the last.
    """
    # Not mapped: what is mapped counts as memory of this process.
    with pa.OSFile(path) as file:
        batches = pa.ipc.open_file(file)
        first = start // _BATCH_ROWS
        numbers = range(first, min(-(-stop // _BATCH_ROWS), batches.num_record_batches))
        table = pa.Table.from_batches(
            [batches.get_batch(number) for number in numbers], batches.schema
        )
    return table.slice(start - first * _BATCH_ROWS, stop - start)
