"""Read upstream's bounding boxes, and find the boxes of given specimens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from bioscan5m_hf.catalogue.images import NOWHERE, find
from bioscan5m_hf.catalogue.keys import HASH, hashes
from bioscan5m_hf.catalogue.runs import RunWriter, SortedRuns, read_rows
from bioscan5m_hf.catalogue.specimens import (
    Specimens,
    equal_keys,
    name_specimens,
    same_as_before,
)
from bioscan5m_hf.errors import MetadataError, MismatchError, counted
from bioscan5m_hf.schema.order import Keys, keys_of

BBOX_COLUMNS: Final = (
    "processid",
    "width_original",
    "height_original",
    "x0",
    "y0",
    "x1",
    "y1",
    "scale_factor",
    "area_fraction",
)
COORDINATES: Final = BBOX_COLUMNS[1:7]
# The column with the number of different boxes of a specimen; null if it has none.
VARIANTS: Final = "boxes"
PLANNED: Final = "planned"
BOX_FIELDS: Final = (
    *(pa.field(name, pa.int32()) for name in COORDINATES),
    pa.field(VARIANTS, pa.int64()),
)
BBOX_SCHEMA: Final = pa.schema([pa.field("processid", pa.string()), *BOX_FIELDS[:-1]])
_BLOCK_BYTES: Final = 4 << 20
_SHOWN: Final = 5
# Only whole numbers, because a cast would round 3.7 to 4, and a box must not be guessed.
_WHOLE: Final = r"^-?[0-9]{1,7}(\.0+)?$"


@dataclass(frozen=True, slots=True)
class Boxes:
    """The bounding boxes of specimens.

    Attributes:
        specimens: The rows with the boxes, one for each specimen, sorted by md5(processid).
        variants: How many different boxes the file has for each specimen.
    """

    specimens: Specimens
    variants: npt.NDArray[np.int64]

    def find(self, names: pa.Array, keys: Keys) -> pa.RecordBatch:
        """Find the boxes of specimens, in columns of ``BOX_FIELDS``; nulls if there is none.

        Args:
            names: The processids, without duplicates.
            keys: Their keys.
        """
        rows = self.specimens.rows
        at = find(names, keys & HASH, rows.keys, self.specimens)
        there = at != NOWHERE
        held = read_rows(rows.path, rows.places[at[there]], COORDINATES)
        # For each specimen, its number among those that were found; null if it was not found.
        numbers = pa.array(np.cumsum(there) - 1, mask=~there)
        variants = pa.array(self.variants[at[there]])
        columns = [column.take(numbers) for column in (*held.columns, variants)]
        return pa.record_batch(columns, schema=pa.schema(BOX_FIELDS))


def read_boxes(path: Path, work: Path) -> Boxes:
    """Read upstream's file of bounding boxes.

    Raises:
        MetadataError: It cannot be read, or has other columns.
        OutputError: There is no room in the folder.
    """
    with RunWriter(work / "boxes.arrow", BBOX_SCHEMA) as runs:
        for batch in read_bbox(path):
            runs.add(batch, hashes(keys_of(batch["processid"])))
        return _single(runs.finish())


def read_bbox(path: Path) -> Iterator[pa.RecordBatch]:
    """Read the rows of upstream's file of bounding boxes, in columns of ``BBOX_SCHEMA``.

    Raises:
        MetadataError: It cannot be read, or has other columns.
    """
    _check_header(path)
    try:
        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(BBOX_COLUMNS, pa.string())
            ),
        )
        for batch in reader:
            names = pc.utf8_trim(batch["processid"], " ")
            numbers = [_whole_numbers(batch[name]) for name in COORDINATES]
            yield pa.record_batch([names, *numbers], schema=BBOX_SCHEMA)
    except (pa.ArrowInvalid, OSError) as error:
        raise MetadataError(
            f"cannot be read ({str(error).partition(chr(10))[0]})",
            where=str(path),
            fix="download it again",
        ) from error


def _whole_numbers(texts: pa.Array) -> pa.Array:
    whole = pc.match_substring_regex(texts, _WHOLE)
    return pc.if_else(whole, texts, None).cast(pa.float64()).cast(pa.int32())


def _single(rows: SortedRuns) -> Boxes:
    """Keep one row of each specimen, and count how many different boxes it has."""
    repeated = np.flatnonzero(equal_keys(rows))
    if not repeated.size:
        return Boxes(name_specimens(rows), np.ones(len(rows), np.int64))
    found = rows.choose(repeated).take(["processid", *COORDINATES])
    order = pc.sort_indices(found, [(name, "ascending") for name in found.schema.names])
    found, repeated = found.take(order), repeated[order.to_numpy()]
    later = same_as_before(found["processid"])
    other = ~later
    for name in COORDINATES:
        # A missing number counts as different from every number.
        other |= ~same_as_before(found[name].cast(pa.int64()).fill_null(np.iinfo(np.int64).max))
    variants = np.ones(len(rows), np.int64)
    variants[repeated[~later]] = np.add.reduceat(other.astype(np.int64), np.flatnonzero(~later))
    keep = np.ones(len(rows), np.bool_)
    keep[repeated[later]] = False
    return Boxes(name_specimens(rows.choose(keep)), variants[keep])


def box_areas(boxes: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The areas of boxes in pixels; 0 if a number is missing."""
    x0, y0, x1, y1 = (boxes[name].cast(pa.int64()) for name in COORDINATES[2:])
    areas = pc.multiply(pc.subtract(x1, x0), pc.subtract(y1, y0))
    numbers: npt.NDArray[np.int64] = areas.fill_null(0).to_numpy()
    return numbers


def _check_header(bbox: Path) -> None:
    try:
        with bbox.open(encoding="utf-8-sig") as file:
            header = file.readline(10_000).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError) as error:
        raise MetadataError(
            f"cannot be read ({error})", where=str(bbox), fix="download it again"
        ) from error
    if tuple(header) != BBOX_COLUMNS:
        raise MetadataError(
            f"its columns are {', '.join(header)[:200]}",
            where=str(bbox),
            fix=f"expected, separated by tabs: {', '.join(BBOX_COLUMNS)}",
        )


def require_boxes(lacking: Sequence[str], bbox: str) -> None:
    """Check that no specimen lacks a bounding box.

    Raises:
        MismatchError: Some do.
    """
    if lacking:
        more = ", …" if len(lacking) > _SHOWN else ""
        raise MismatchError(
            f"there is no bounding box for {counted(len(lacking), 'specimen')} "
            f"({', '.join(lacking[:_SHOWN])}{more})",
            where=bbox,
            fix="use the file that belongs to the release, or leave them out with "
            "--on-error record",
        )
