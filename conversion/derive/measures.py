"""Compare ``area_fraction`` and ``scale_factor`` of the metadata with the bounding boxes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from conversion.derive.bbox import BBOX_SCHEMA, COORDINATES, read_bbox
from conversion.derive.geometry import HALF, UPSTREAM_SIDE
from conversion.rejects import Finding

_COLUMNS: Final = ["row", "processid", "split", "area_fraction", "scale_factor"]


class MeasureCheck:
    """Keeps the measures while the metadata are read, and compares them with the boxes afterwards.

    A box that extends beyond the border of its original is not compared, because upstream does not
    say how much of such a box counts.
    """

    def __init__(self, bbox: Path) -> None:
        self._bbox = bbox
        self._kept: list[pa.RecordBatch] = []

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the batches on, and keep their measures."""
        for batch in batches:
            self._kept.append(batch.select(_COLUMNS))
            yield batch

    def findings(self, label: str) -> Iterator[Finding]:
        """Find the specimens whose box contradicts the metadata, in the order of the metadata.

        Raises:
            MetadataError: The boxes cannot be read.
        """
        if not self._kept:
            return
        rows = pa.Table.from_batches(self._kept)
        boxes = pa.Table.from_batches(read_bbox(self._bbox), BBOX_SCHEMA)
        place = pc.index_in(rows["processid"], boxes["processid"].combine_chunks())
        # A missing number becomes NaN, which fails every comparison, so the box is not inside.
        width, height, x0, y0, x1, y1 = (
            boxes[name].take(place).cast(pa.float64()).to_numpy() for name in COORDINATES
        )
        inside = (x0 >= 0) & (y0 >= 0) & (x1 <= width) & (y1 <= height) & (x0 < x1) & (y0 < y1)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = {
                "area_fraction": (x1 - x0) * (y1 - y0) / (width * height),
                "scale_factor": np.minimum(x1 - x0, y1 - y0) / UPSTREAM_SIDE,
            }
        given = {name: rows[name].to_numpy() for name in expected}
        wrong = {n: inside & (np.abs(given[n] - expected[n]) > HALF) for n in expected}
        for at in np.flatnonzero(np.logical_or.reduce(list(wrong.values()))).tolist():
            detail = ", ".join(
                f"{name} is {given[name][at]:g}, and its box makes {expected[name][at]:.4f}"
                for name in expected
                if wrong[name][at]
            )
            row, processid, split = (rows[name][at].as_py() for name in _COLUMNS[:3])
            yield Finding("contradicts-box", processid, split, label, None, f"row {row}: {detail}")
