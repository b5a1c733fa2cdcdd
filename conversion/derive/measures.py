"""Compare area_fraction and scale_factor of the metadata with the bounding boxes they come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from bioscan5m_hf.errors import MetadataError
from conversion.derive.bbox import BBOX_COLUMNS, COORDINATES
from conversion.rejects import Finding

_COLUMNS: Final = ["row", "processid", "split", "area_fraction", "scale_factor"]
# Both are rounded to four decimals.
_TOLERANCE: Final = 0.5e-4 + 1e-9
_SHORT_SIDE: Final = 256


class MeasureCheck:
    """Keeps what the metadata say of the boxes while they are read, and compares it afterwards.

    A box that reaches past the border of its original is not compared: upstream does not say how
    much of it counts.
    """

    def __init__(self, bbox: Path) -> None:
        self._bbox = bbox
        self._kept: list[pa.RecordBatch] = []

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the rows of the metadata on."""
        for batch in batches:
            self._kept.append(batch.select(_COLUMNS))
            yield batch

    def findings(self, label: str) -> Iterator[Finding]:
        """The specimens whose box makes another value, in the order of the metadata.

        Raises:
            MetadataError: The boxes cannot be read.
        """
        if not self._kept:
            return
        rows = pa.Table.from_batches(self._kept)
        boxes = _read_boxes(self._bbox)
        place = pc.index_in(rows["processid"], boxes["processid"].combine_chunks())
        width, height, x0, y0, x1, y1 = (boxes[name].take(place).to_numpy() for name in COORDINATES)
        inside = (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height) & (x0 < x1) & (y0 < y1)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = {
                "area_fraction": (x1 - x0) * (y1 - y0) / (width * height),
                "scale_factor": np.minimum(x1 - x0, y1 - y0) / _SHORT_SIDE,
            }
        told = {name: rows[name].to_numpy() for name in expected}
        wrong = {n: inside & (np.abs(told[n] - expected[n]) > _TOLERANCE) for n in expected}
        for at in np.flatnonzero(np.logical_or.reduce(list(wrong.values()))).tolist():
            detail = ", ".join(
                f"{name} is {told[name][at]:g}, and its box makes {expected[name][at]:.4f}"
                for name in expected
                if wrong[name][at]
            )
            row, processid, split = (rows[name][at].as_py() for name in _COLUMNS[:3])
            yield Finding("contradicts-box", processid, split, label, None, f"row {row}: {detail}")


def _read_boxes(bbox: Path) -> pa.Table:
    try:
        return pacsv.read_csv(
            bbox,
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(
                include_columns=["processid", *COORDINATES],
                column_types={n: pa.float64() for n in BBOX_COLUMNS} | {"processid": pa.string()},
            ),
        )
    except (pa.ArrowException, OSError, KeyError) as error:
        told = str(error).partition("\n")[0]
        raise MetadataError(
            f"cannot be read ({told:.160})",
            where=str(bbox),
            fix=f"expected, separated by tabs: {', '.join(BBOX_COLUMNS)}",
        ) from error
