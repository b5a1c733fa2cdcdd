"""Write the metadata and the bounding boxes of some specimens as text in upstream's formats."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from conversion.derive.geometry import Box
from conversion.synthetic.places import AWKWARD_PLACES, PLACES
from conversion.synthetic.population import BARCODE_LENGTH, Lineages, lineages, substitute
from conversion.synthetic.taxa import GENERA, PHYLUM

# How many labels the specimens of pretrain have, phylum to genus, as shares of 1.
_DEPTHS: Final = (0.001, 0.004, 0.045, 0.72, 0.77, 1.0)
_AWKWARD_EVERY: Final = 23
_DECIMALS: Final = (3, 3, 3, 3, 3, 4, 6, 2)
_WELLS: Final = 95  # the 96th well of a plate is its control
_CHANGED: Final = 0.45  # the share of specimens whose barcode is not their lineage's
_CHANGES: Final = 3

_BOX_FIELDS: Final = ("width", "height", "x0", "y0", "x1", "y1")

# The C encoder knows no indentation; these separators make it write upstream's.
_ENCODER: Final = json.JSONEncoder(separators=(",\n        ", ": "))


@dataclass(frozen=True, slots=True)
class RowsTask:
    """Some successive specimens to write down, and what is known of each."""

    seed: int
    specimens: int  # of the whole release
    start: int  # the number of the first of these
    processids: list[str]
    splits: list[int]
    chunks: list[str]
    lineages: NDArray[np.int32]
    boxes: list[Box]
    pixels: list[int]


class Texts(NamedTuple):
    """How many specimens there are, and each file's part without header and brackets."""

    specimens: int
    csv: bytes
    jsonld: bytes
    bbox: bytes


def write_rows(task: RowsTask) -> Texts:
    """Write some specimens down in every format."""
    listed = _rows(task)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(map(dict.values, listed))
    objects = ("    {\n        " + _ENCODER.encode(row)[1:-1] + "\n    }" for row in listed)
    boxes = (
        (
            row["processid"],
            *(getattr(box, name) for name in _BOX_FIELDS),
            row["scale_factor"],
            row["area_fraction"],
        )
        for row, box in zip(listed, task.boxes, strict=True)
    )
    return Texts(
        specimens=len(listed),
        csv=table.getvalue().encode(),
        jsonld=",\n".join(objects).encode(),
        bbox="".join("\t".join(map(str, line)) + "\n" for line in boxes).encode(),
    )


def _rows(task: RowsTask) -> list[dict[str, str]]:
    """The columns of upstream's metadata; an empty string is a missing value."""
    rng = np.random.default_rng((task.seed, 2, task.start))
    lines = lineages(task.seed, task.specimens)
    count = len(task.processids)
    draws = rng.random((count, 10)).tolist()
    barcodes = _barcodes(rng, lines, task.lineages)
    rows = []
    for at, line in enumerate(task.lineages.tolist()):
        number, box = task.start + at, task.boxes[at]
        depth, no_bin, no_pixels, inferred, earlier, newer, *where = draws[at]
        labels = _labels(lines, line, depth)
        plate, well = divmod(number, _WELLS)
        series = f"CBG-A{plate:05d}" if newer < 0.45 else f"BIOUG{65_000 + plate:05d}"
        rows.append(
            {
                "processid": task.processids[at],
                "sampleid": f"{series}-{chr(65 + well // 12)}{well % 12 + 1:02d}",
                "taxon": next(filter(None, reversed(labels.values()))),
                **labels,
                "dna_bin": "" if no_bin < 0.012 else lines.bins[line],
                "dna_barcode": barcodes[at],
                **_collected(number, task.specimens, where),
                "image_measurement_value": "" if no_pixels < 0.02 else str(task.pixels[at]),
                "area_fraction": str(round(box.area_fraction, 4)),
                "scale_factor": str(round(box.scale_factor, 4)),
                "inferred_ranks": str(max(0, int((inferred - 0.9) * 60))),
                "split": SPLITS[task.splits[at]].name,
                "index_bioscan_1M_insect": f"{number * 5}.0" if earlier < 0.2 else "",
                "chunk": task.chunks[at],
            }
        )
    return rows


def _labels(lines: Lineages, line: int, draw: float) -> dict[str, str]:
    """All labels where the lineage has a species, else those down to some rank."""
    genus, species = GENERA[lines.genera[line]], lines.species[line]
    labels = {
        "phylum": PHYLUM,
        "class": genus.class_name,
        "order": genus.order,
        "family": genus.family,
        "subfamily": genus.subfamily,
        "genus": genus.name,
        "species": species,
    }
    if not species:
        known = 1 + sum(draw >= share for share in _DEPTHS)
        labels |= dict.fromkeys(list(labels)[known:], "")
    return labels


def _barcodes(rng: np.random.Generator, lines: Lineages, lineage: NDArray[np.int32]) -> list[str]:
    """Barcodes with the variation of a species, and with what sequencing does to them."""
    rows = lines.barcodes[lineage]
    changed = np.flatnonzero(rng.random(len(rows)) < _CHANGED)
    varied = rows[changed]
    substitute(varied, rng, _CHANGES, len(changed), np.arange(len(changed)))
    rows[changed] = varied
    # Only these have unknown bases, ambiguous ones, or another length.
    flaws = rng.random((len(changed), 5)).tolist()
    texts = [row.tobytes().decode("ascii") for row in rows]
    for at, (kind, place, length, start, end) in zip(changed.tolist(), flaws, strict=True):
        text, first = texts[at], int(place * (BARCODE_LENGTH - 60))
        if kind < 0.16:
            unknown = "N" * int(1 + 60 * length)
            text = text[:first] + unknown + text[first + len(unknown) :]
        elif kind < 0.24:
            text = text[:first] + "RYKMSW"[int(length * 6)] + text[first + 1 :]
        elif kind < 0.27:
            text += text[90::-1] + text[: int(length * 700)]
        texts[at] = text[int(start**9 * 60) : len(text) - int(end**7 * 120)]
    return texts


def _collected(number: int, specimens: int, draws: list[float]) -> dict[str, str]:
    """Where a specimen was collected."""
    somewhere, province, latitude, longitude = draws
    place = PLACES[int(somewhere**1.6 * len(PLACES))]
    # Even the smallest sample has some values that are easily misread.
    every = max(2, min(_AWKWARD_EVERY, specimens // len(AWKWARD_PLACES)))
    awkward = number % every == 1
    if awkward:
        place = AWKWARD_PLACES[number // every % len(AWKWARD_PLACES)]
    named = place.provinces and (awkward or province > 0.08)
    decimals = _DECIMALS[int(latitude * 1e6) % len(_DECIMALS)]
    located = longitude < 0.985
    return {
        "country": place.country,
        "province_state": place.provinces[int(province * len(place.provinces))] if named else "",
        "coord-lat": str(round(place.latitude + latitude * 2.4 - 1.2, decimals)) if located else "",
        "coord-lon": str(round(place.longitude + longitude * 2.4 - 1.2, decimals))
        if located
        else "",
    }
