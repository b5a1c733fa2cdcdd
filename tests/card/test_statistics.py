"""The profile of the specimens, against a count in plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bioscan5m_hf.schema.columns import RANKS, SPLITS, arrow_schema
from conversion.card.statistics import (
    BARCODE_STEP,
    BARCODE_TOP,
    SIZE_STEPS,
    Profile,
    RankCount,
    profile,
)
from conversion.formats.registry import writer_named
from conversion.shards.read import BrokenShard

LATITUDES = [None, math.nan, -90.5, -90.0, -0.5, 0.0, 12.25, 13.0, 89.99, 90.0, 90.1, math.inf]
LONGITUDES = [None, math.nan, -180.1, -180.0, -0.5, 0.0, 8.1, 179.5, 180.0, -math.inf]
PIXELS = [None, -7, 0, 1, 9, 10, 999, 1000, 1001, 123_456, 10**9]
COUNTRIES = [None, "", "NA", "Ålanđ", *(f"country {number}" for number in range(14))]
SIZES = (2, 5, 30, 60, 90, 200, 500, 2_000)


def made_up(count: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    rows = []
    for number in range(count):
        row: dict[str, Any] = dict.fromkeys(arrow_schema(image=False).names)
        row |= {"processid": f"P{number}", "split": chance.choice(SPLITS).name}
        for rank, size in zip(RANKS, SIZES, strict=True):
            row[rank] = chance.choice([None, f"{rank} {int(size * chance.random() ** 2)}"])
        letters = chance.choice([0, 1, 19, 20, 650, 658, 1_599, 1_600, 2_000])
        row["dna_barcode"] = chance.choice([None, "é" * letters, "".join("ACGT"[:2]) * letters])
        row["country"] = chance.choice(COUNTRIES)
        row["coord-lat"], row["coord-lon"] = chance.choice(LATITUDES), chance.choice(LONGITUDES)
        row["image_measurement_value"] = chance.choice(PIXELS)
        rows.append(row)
    return rows


def frequent(texts: list[str | None], wanted: int) -> tuple[Any, tuple[int, int]]:
    counts = Counter(text for text in texts if text is not None)
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return tuple(rows[:wanted]), (len(rows[wanted:]), sum(n for _, n in rows[wanted:]))


def cells(rows: list[dict[str, Any]]) -> Counter[tuple[int, int]]:
    found: Counter[tuple[int, int]] = Counter()
    for row in rows:
        lat, lon = row["coord-lat"], row["coord-lon"]
        if lat is not None and lon is not None and -90 <= lat <= 90 and -180 <= lon <= 180:
            found[min(math.floor(lat), 89), min(math.floor(lon), 179)] += 1
    return found


def counted(rows: list[dict[str, Any]]) -> Profile:
    values = {rank: [row[rank] for row in rows if row[rank] is not None] for rank in RANKS}
    barcodes = [row["dna_barcode"] for row in rows if row["dna_barcode"]]
    pixels = [row["image_measurement_value"] for row in rows]
    orders, other_orders = frequent([row["order"] for row in rows], 12)
    countries, other_countries = frequent([row["country"] for row in rows], 10)
    return Profile(
        len(rows),
        tuple(RankCount(rank, len(set(found)), len(found)) for rank, found in values.items()),
        orders,
        other_orders,
        (len(set(barcodes)), len(barcodes)),
        Counter(min(len(b) // BARCODE_STEP * BARCODE_STEP, BARCODE_TOP) for b in barcodes),
        Counter(math.floor(math.log10(n) * SIZE_STEPS) for n in pixels if n is not None and n > 0),
        countries,
        other_countries,
        cells(rows),
    )


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_the_profile_is_what_plain_python_counts(form: str, tmp_path: Path) -> None:
    rows = made_up(6_000)
    schema = arrow_schema(image=False)
    writer = writer_named(form)
    shards = []
    # More blocks than wait to be merged, in shards of which one is empty.
    for number, part in enumerate([rows[:1_500], [], rows[1_500:]]):
        shards.append(tmp_path / f"{number}{writer.form.suffix}")
        with writer(shards[-1], image=False) as file:
            for start in range(0, len(part), 50):
                block = pa.RecordBatch.from_pylist(part[start : start + 50], schema)
                file.write(block)
    found = profile(shards)
    assert found == counted(rows)
    assert found.other_orders[0]
    assert found.other_countries[0]
    assert list(found.sites) == sorted(found.sites)
    assert list(found.barcode_lengths) == sorted(found.barcode_lengths)
    assert list(found.sizes) == sorted(found.sizes)


def test_nothing_has_a_profile() -> None:
    assert profile([]) == counted([])


def test_what_is_no_shard_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    with pytest.raises(OSError, match="train"):
        profile([path])
    path.write_bytes(b"no shard")
    with pytest.raises(BrokenShard):
        profile([path])
