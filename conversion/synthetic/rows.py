"""Write the metadata and the bounding boxes of some specimens as text in upstream's formats."""

from __future__ import annotations

import csv
import io
import json
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS, column_names
from conversion.derive.bbox import BBOX_COLUMNS
from conversion.derive.geometry import Box
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.population import BARCODE_LENGTH, lineages, substitute
from conversion.synthetic.vocabulary import AWKWARD_PLACES, PLACES

# The cumulative shares of pretrain specimens by the number of their labels, from phylum to genus.
_DEPTHS: Final = (0.001, 0.004, 0.045, 0.72, 0.77, 1.0)
_AWKWARD_EVERY: Final = 23
_WELLS: Final = 95  # the 96th well of a plate is its control
_CHANGED: Final = 0.45  # the share of specimens whose barcode differs from their lineage's
_CHANGES: Final = 3

_EDGES: Final = attrgetter("width", "height", "x0", "y0", "x1", "y1")

# The C encoder does not indent; with these separators its output has upstream's indentation.
_ENCODER: Final = json.JSONEncoder(separators=(",\n        ", ": "))


class Block(NamedTuple):
    """Consecutive specimens: the number of the first, the specimens, and their boxes."""

    start: int
    people: NDArray[Any]
    boxes: list[Box]


def write_rows(options: SampleOptions, block: Block) -> dict[str, bytes]:
    """Return a block's part of each file; the first and last block add the file's start and end."""
    rows = _rows(options, block)
    table, boxes = io.StringIO(), io.StringIO()
    lines = csv.writer(table, lineterminator="\n")
    box_lines = csv.writer(boxes, "excel-tab", lineterminator="\n")
    before, after = ",\n", ""
    if block.start == 0:
        lines.writerow(column_names())
        box_lines.writerow(BBOX_COLUMNS)
        before = "[\n"
    if block.start + len(rows) == options.specimens:
        after = "\n]"
    lines.writerows(row.values() for row in rows)
    box_lines.writerows(
        (row["processid"], *_EDGES(box), row["scale_factor"], row["area_fraction"])
        for row, box in zip(rows, block.boxes, strict=True)
    )
    objects = ("    {\n        " + _ENCODER.encode(row)[1:-1] + "\n    }" for row in rows)
    jsonld = before + ",\n".join(objects) + after
    texts = {"csv": table.getvalue(), "jsonld": jsonld, "bbox": boxes.getvalue()}
    return {kind: text.encode() for kind, text in texts.items()}


def _rows(options: SampleOptions, block: Block) -> list[dict[str, str]]:
    """The columns of upstream's metadata; an empty string is a missing value."""
    rng = np.random.default_rng((options.seed, 2, block.start))
    lines = lineages(options.seed, options.specimens)
    draws = rng.random((len(block.people), 10)).tolist()
    barcodes = _barcodes(rng, lines.barcodes[block.people["lineage"]])
    rows, names = [], column_names()
    for at, (processid, split, chunk, line, _) in enumerate(block.people.tolist()):
        number, box = block.start + at, block.boxes[at]
        depth, no_bin, pixels, inferred, earlier, *where = draws[at]
        labels = lines.labels[line]
        # If the lineage has a species, all labels are known; otherwise only those down to a rank.
        known = len(labels) if labels[-1] else 1 + sum(depth >= share for share in _DEPTHS)
        plate, well = divmod(number, _WELLS)
        area = box.size[0] * box.size[1]
        values = (
            processid.decode(),
            f"BIOUG{65_000 + plate}-{chr(65 + well // 12)}{well % 12 + 1:02d}",
            next(filter(None, reversed(labels[:known]))),
            *labels[:known],
            *("",) * (len(labels) - known),
            "" if no_bin < 0.012 else lines.bins[line],
            barcodes[at],
            *_collected(number, options.specimens, where),
            "" if pixels < 0.02 else str(int(area * (0.15 + 0.3 * pixels))),
            str(round(box.area_fraction, 4)),
            str(round(box.scale_factor, 4)),
            str(max(0, int((inferred - 0.9) * 60))),
            SPLITS[split].name,
            f"{number * 5}.0" if earlier < 0.2 else "",
            chunk.decode(),
        )
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _barcodes(rng: np.random.Generator, typical: NDArray[np.uint8]) -> list[str]:
    """Make barcodes with the variation within a species, and with sequencing errors."""
    changed = np.flatnonzero(rng.random(len(typical)) < _CHANGED)
    typical[changed] = substitute(typical[changed], rng, _CHANGES)
    # Only the changed barcodes have unknown bases, ambiguous bases or another length.
    flaws = rng.random((len(changed), 4)).tolist()
    texts = [row.tobytes().decode("ascii") for row in typical]
    for at, (kind, place, length, end) in zip(changed.tolist(), flaws, strict=True):
        text, first = texts[at], int(place * (BARCODE_LENGTH - 60))
        if kind < 0.16:
            unknown = "N" * int(1 + 60 * length)
            text = text[:first] + unknown + text[first + len(unknown) :]
        elif kind < 0.24:
            text = text[:first] + "RYKMSW"[int(length * 6)] + text[first + 1 :]
        elif kind < 0.27:
            text += text[: int(length * 700)]
        texts[at] = text[: len(text) - int(end**7 * 120)]
    return texts


def _collected(number: int, specimens: int, draws: list[float]) -> tuple[str, str, str, str]:
    """Where a specimen was collected: country, province, latitude and longitude."""
    somewhere, inside, unknown, north, east = draws
    place = PLACES[int(somewhere**1.6 * len(PLACES))]
    # Even the smallest sample has some values that are easy to misread.
    every = max(2, min(_AWKWARD_EVERY, specimens // len(AWKWARD_PLACES)))
    if number % every == 1:
        place = AWKWARD_PLACES[number // every % len(AWKWARD_PLACES)]
    elif inside < 0.08:
        place = place._replace(provinces=("",))
    province = place.provinces[int(inside * len(place.provinces))]
    if unknown < 0.015:
        return place.country, province, "", ""
    decimals = 6 if number % 8 == 0 else 3
    latitude = round(place.latitude + north * 2.4 - 1.2, decimals)
    longitude = round(place.longitude + east * 2.4 - 1.2, decimals)
    return place.country, province, str(latitude), str(longitude)
