"""The catalogue: what it says where its input fails, or where it is interrupted."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.schema.columns import SPLITS
from conversion import catalogue
from conversion.catalogue import Catalogue
from tests.rows import as_csv, plain

SCHEMA = pa.schema([pa.field("number", pa.int64())])
BATCH = pa.record_batch([pa.array(range(1000))], schema=SCHEMA)


def test_what_the_batches_raise_is_raised_as_it_is(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        raise OSError("the disk is gone")

    with (
        Catalogue(tmp_path, threads=2) as catalogue,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        catalogue._take("rows", SCHEMA, batches())


def test_an_interruption_is_not_blamed_on_the_batches(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0.2)
            yield BATCH

    with (
        Catalogue(tmp_path, threads=2) as catalogue,
        # The database makes an error of its own of it, or does not.
        pytest.raises((KeyboardInterrupt, OutputError)),
    ):
        catalogue._take("rows", SCHEMA, batches())


@pytest.mark.parametrize("held", [1, 3 << 20, 1 << 30])
def test_rows_that_are_held_and_rows_that_are_not_are_put_into_the_same_order(
    held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        plain(
            number,
            split=SPLITS[number % 7 % len(SPLITS)].name,
            species="é" * (number % 5),
            dna_barcode="ACGT"[number % 4] * (number % 700),
            coord_lat=str(number / 64) if number % 3 else "",
        )
        for number in range(20_000)
    ]
    path = tmp_path / "metadata.csv"
    # The numbers of the rows have gaps: a processid that stands twice, and values that are none.
    path.write_bytes(as_csv([*rows, rows[7], plain(30_000, area_fraction="x"), plain(30_001)]))
    monkeypatch.setattr(catalogue, "_HELD_BYTES", held)
    file = MetadataFile(path, "csv")
    left_out: list[int] = []
    with Catalogue(tmp_path / "work", threads=2) as made:
        made.load_metadata(read_metadata(file, lambda bad: left_out.append(bad.row)))
        made.settle_rows(file.label, lambda bad: left_out.append(bad.row))
        made.place_rows()
        found = pa.Table.from_batches(made.sorted_rows()).to_pylist()
    assert left_out == [20_003, 20_002]
    names = [split.name for split in SPLITS]
    expected = sorted(
        [*rows, plain(30_001)],
        key=lambda row: (
            names.index(row["split"]),
            hashlib.md5(row["processid"].encode(), usedforsecurity=False).digest(),
        ),
    )
    compared = ("processid", "split", "species", "dna_barcode")
    assert [[row[name] or "" for name in compared] for row in found] == [
        [row[name] for name in compared] for row in expected
    ]
    assert [row["coord-lat"] for row in found] == [
        float(row["coord-lat"]) if row["coord-lat"] else None for row in expected
    ]
