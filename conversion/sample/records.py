"""Rows of metadata and bounding boxes, as text in upstream's formats."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import RANKS, SPLITS, column_names
from conversion.sample import barcodes, identity, noise
from conversion.sample.places import AWKWARD_PLACES, PLACES, Place
from conversion.sample.population import population
from conversion.sample.taxonomy import PHYLUM, Genus, genera

BBOX_COLUMNS: Final = (
    "processid", "width_original", "height_original", "x0", "y0", "x1", "y1",
    "scale_factor", "area_fraction",
)  # fmt: skip

_LABELS: Final = tuple(rank for rank in RANKS if rank != "dna_bin")
# How many labels the specimens of pretrain have, phylum to genus, as shares of 1.
_DEPTHS: Final = (("phylum", 0.001), ("class", 0.004), ("order", 0.045), ("family", 0.72),
                  ("subfamily", 0.77), ("genus", 1.0))  # fmt: skip
_AWKWARD_EVERY: Final = 23
_DECIMALS: Final = (3, 3, 3, 3, 3, 4, 6, 2)

# The C encoder knows no indentation; these separators make it write upstream's.
_ENCODER: Final = json.JSONEncoder(separators=(",\n        ", ": "))


@dataclass(frozen=True, slots=True)
class Frames:
    """Where organisms lie on their photographs.

    Attributes:
        size: Width and height of all the photographs, in pixels.
        boxes: For each photograph left, top, right and bottom of the crop, in pixels.
        pixels: For each photograph the pixels that show the organism.
    """

    size: tuple[int, int]
    boxes: NDArray[np.int32]
    pixels: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Task:
    """A range of specimens to be written down.

    Attributes:
        seed: The seed of the release.
        specimens: How many specimens the release has.
        start: The first specimen of the range.
        frames: The frames of all the specimens of the range, in order.
    """

    seed: int
    specimens: int
    start: int
    frames: Frames


@dataclass(frozen=True, slots=True)
class Texts:
    """A range of specimens in upstream's formats.

    Attributes:
        csv: Lines without a header.
        jsonld: Objects separated by commas, without the brackets of the array.
        bbox: Tab-separated lines without a header.
    """

    csv: bytes
    jsonld: bytes
    bbox: bytes


def area_fraction(box: tuple[int, int, int, int], size: tuple[int, int]) -> float:
    """The area of a box as a share of the photograph's, to 4 decimals.

    Args:
        box: Left, top, right and bottom in pixels.
        size: Width and height of the photograph in pixels.
    """
    left, top, right, bottom = box
    return round((right - left) * (bottom - top) / (size[0] * size[1]), 4)


def scale_factor(box: tuple[int, int, int, int]) -> float:
    """The shorter side of a box as a multiple of 256 pixels, to 4 decimals.

    Args:
        box: Left, top, right and bottom in pixels.
    """
    left, top, right, bottom = box
    return round(min(right - left, bottom - top) / 256, 4)


def rows(task: Task) -> list[dict[str, str]]:
    """The metadata of a range of specimens; an empty string is a missing value.

    Args:
        task: The range.
    """
    seed, frames = task.seed, task.frames
    people = population(seed, task.specimens)
    index = np.arange(task.start, task.start + len(frames.boxes), dtype=np.int64)
    split, place = people.allocation.of(index)
    lineage = people.lineages.of(index, split, place)
    processids = identity.processids(seed, index, task.specimens)
    columns = zip(
        index.tolist(),
        split.tolist(),
        lineage.tolist(),
        processids,
        identity.sampleids(seed, index),
        identity.digests(processids),
        people.lineages.bin_codes(lineage),
        barcodes.specimen_barcodes(seed, index, lineage, _typical(seed, task.specimens)),
        _draws(seed, index),
        strict=True,
    )
    known = genera()
    listed = []
    for number, group, line, processid, sampleid, digest, code, barcode, draws in columns:
        belongs = SPLITS[group]
        genus = known[people.lineages.genus[line]]
        labels = _labels(genus, people.lineages.species[line], draws.depth)
        at = number - task.start
        left, top, right, bottom = frames.boxes[at].tolist()
        box = (left, top, right, bottom)
        listed.append(
            {
                "processid": processid,
                "sampleid": sampleid,
                "taxon": next(filter(None, reversed(labels.values()))),
                **labels,
                "dna_bin": "" if draws.bin_missing < 0.012 else code,
                "dna_barcode": barcode,
                **_collected(number, task.specimens, draws),
                "image_measurement_value": ""
                if draws.pixels_missing < 0.02
                else str(frames.pixels[at]),
                "area_fraction": str(area_fraction(box, frames.size)),
                "scale_factor": str(scale_factor(box)),
                "inferred_ranks": str(
                    int((draws.inferred - 0.9) * 60) if draws.inferred > 0.9 else 0
                ),
                "split": belongs.name,
                "index_bioscan_1M_insect": _earlier_row(number, draws.earlier),
                "chunk": identity.chunk(digest, belongs),
            }
        )
    return listed


def write_down(task: Task) -> Texts:
    """Write a range of specimens in every format.

    Args:
        task: The range.
    """
    names = column_names()
    listed = rows(task)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(
        [row[name] for name in names] for row in listed
    )
    objects = (
        "    {\n        " + _ENCODER.encode({name: row[name] for name in names})[1:-1] + "\n    }"
        for row in listed
    )
    width, height = task.frames.size
    boxes = (
        (row["processid"], width, height, *box, row["scale_factor"], row["area_fraction"])
        for row, box in zip(listed, task.frames.boxes.tolist(), strict=True)
    )
    return Texts(
        csv=table.getvalue().encode(),
        jsonld=",\n".join(objects).encode(),
        bbox="".join("\t".join(map(str, line)) + "\n" for line in boxes).encode(),
    )


@lru_cache(maxsize=1)
def _typical(seed: int, specimens: int) -> NDArray[np.uint8]:
    return barcodes.lineage_barcodes(population(seed, specimens).lineages)


class _Draws(NamedTuple):
    """Independent numbers in [0, 1) that decide the properties of one specimen."""

    depth: float
    bin_missing: float
    pixels_missing: float
    inferred: float
    earlier: float
    place: float
    province: float
    latitude: float
    longitude: float
    decimals: float


def _draws(seed: int, index: NDArray[np.int64]) -> Iterator[_Draws]:
    columns = [noise.unit(seed, stream, index).tolist() for stream in _Draws._fields]
    return map(_Draws._make, zip(*columns, strict=True))


def _labels(genus: Genus, species: str, draw: float) -> dict[str, str]:
    """The labels of a specimen: all of them where it has a species, else down to some rank."""
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
        deepest = next(rank for rank, share in _DEPTHS if draw < share)
        for rank in _LABELS[_LABELS.index(deepest) + 1 :]:
            labels[rank] = ""
    return labels


def _collected(number: int, specimens: int, draws: _Draws) -> dict[str, str]:
    """Where a specimen was collected."""
    place = PLACES[int(draws.place**1.6 * len(PLACES))]
    # Even the smallest sample has some values that are easily misread.
    every = max(2, min(_AWKWARD_EVERY, specimens // len(AWKWARD_PLACES)))
    is_awkward = number % every == 1
    if is_awkward:
        place = AWKWARD_PLACES[number // every % len(AWKWARD_PLACES)]
    has_province = place.provinces and (is_awkward or draws.province > 0.08)
    province = place.provinces[int(draws.province * len(place.provinces))] if has_province else ""
    latitude, longitude = _coordinates(place, draws)
    return {
        "country": place.country,
        "province_state": province,
        "coord-lat": latitude,
        "coord-lon": longitude,
    }


def _coordinates(place: Place, draws: _Draws) -> tuple[str, str]:
    if draws.decimals > 0.985:
        return "", ""
    decimals = _DECIMALS[int(draws.decimals * len(_DECIMALS))]
    return (
        str(round(place.latitude + draws.latitude * 2.4 - 1.2, decimals)),
        str(round(place.longitude + draws.longitude * 2.4 - 1.2, decimals)),
    )


def _earlier_row(number: int, draw: float) -> str:
    """The row in the release before, which a fifth of the specimens were part of."""
    return str(float(number * 5 + int(draw * 25))) if draw < 0.2 else ""
