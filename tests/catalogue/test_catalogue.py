"""The catalogue: rows in their order in runs of any size, and what fails or is interrupted."""

from __future__ import annotations

import hashlib
import itertools
import resource
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bioscan5m_hf.catalogue import runs, specimens
from bioscan5m_hf.errors import MetadataError, OutputError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.schema.columns import SPLITS, arrow_schema, column_names
from conversion.catalogue import catalogue as catalogue_module
from conversion.catalogue.catalogue import Catalogue
from conversion.catalogue.rows import RowDigest, RowReader
from tests.rows import as_csv, plain

ROWS = [
    plain(
        number,
        split=SPLITS[number % 7 % len(SPLITS)].name,
        species="é" * (number % 5),
        dna_barcode="ACGT"[number % 4] * (number % 700),
        coord_lat=str(number / 640) if number % 3 else "",
    )
    for number in range(20_000)
]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> MetadataFile:
    path = tmp_path_factory.mktemp("metadata") / "metadata.csv"
    # The numbers of the rows have gaps: a processid that stands twice, and values that are none.
    path.write_bytes(as_csv([*ROWS, ROWS[7], plain(30_000, area_fraction="x"), plain(30_001)]))
    return MetadataFile(path, "csv")


def limit_runs(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    def sort_rows(*arguments: object, **named: object) -> runs.SortedRuns:
        return specimens.sort_rows(*arguments, **named, limit=limit)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue_module, "sort_rows", sort_rows)


@pytest.mark.parametrize("limit", [1, 3 << 20, 1 << 30])
def test_rows_are_put_into_the_same_order_whatever_a_run_holds(
    limit: int, metadata: MetadataFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_runs(monkeypatch, limit)
    left_out: list[int] = []
    made = Catalogue(tmp_path / "work")
    made.load_metadata(read_metadata(metadata, lambda bad: left_out.append(bad.row)))
    made.settle_rows(metadata.label, lambda bad: left_out.append(bad.row))
    rows = made.sorted_rows()
    found = RowReader(rows.path, np.arange(20_001)).take(20_001).to_pylist()
    assert left_out == [20_003, 20_002]
    names = [split.name for split in SPLITS]
    expected = sorted(
        [*ROWS, plain(30_001)],
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
    assert rows.content == "8b37dafd82c878e4510a80a4df65e01b"


def test_the_digest_of_rows_follows_their_values_and_their_order_alone() -> None:
    rows = [dict.fromkeys(column_names()) | {"processid": f"A{n}", "taxon": "Ab"} for n in range(9)]
    rows[3] |= {"coord-lat": 0.0, "inferred_ranks": 0, "genus": "a", "species": "bc"}

    def digest(rows: list[dict[str, Any]], *cuts: int, selection: str = "") -> str:
        batch = pa.RecordBatch.from_pylist(rows, arrow_schema(image=False))
        taken = RowDigest()
        for start, stop in itertools.pairwise((0, *cuts, len(rows))):
            taken.add(batch.slice(start, stop - start))
        return taken.hexdigest(selection)

    def changed(**values: object) -> list[dict[str, Any]]:
        return [*rows[:3], rows[3] | values, *rows[4:]]

    whole = digest(rows)
    assert {digest(rows, 4), digest(rows, 1, 3, 4), digest(changed())} == {whole}
    others = [
        digest(rows[::-1]),
        digest(rows[:-1]),
        digest(rows, selection="two of each family"),
        digest(changed(genus="ab", species="c")),
        digest(changed(genus=None, family="a")),
        digest(changed(species=None)),
        digest(changed(**{"coord-lat": None})),
        digest(changed(inferred_ranks=None)),
        digest(changed(inferred_ranks=1)),
    ]
    assert len({whole, *others}) == 1 + len(others)


def test_a_repeated_processid_is_an_error_that_names_both_rows(
    metadata: MetadataFile, tmp_path: Path
) -> None:
    made = Catalogue(tmp_path)
    made.load_metadata(read_metadata(metadata, lambda _: None), slim=True)
    repeated = ROWS[7]["processid"]
    with pytest.raises(MetadataError, match=f"row 20002: .*{repeated} stands already in row 9"):
        made.settle_rows(metadata.label)


@pytest.mark.parametrize(
    "positions",
    [
        pytest.param([0, 1, 5, 7_999, 8_000, 15_999, 16_000, 20_000], id="far-apart"),
        pytest.param(range(20_001), id="all"),
        pytest.param(range(3_000, 20_001, 2), id="every-other"),
        pytest.param([20_000], id="the-last"),
    ],
)
@pytest.mark.parametrize("count", [1_000, 7_777, 30_000])
def test_rows_are_read_in_blocks(
    positions: Sequence[int], count: int, metadata: MetadataFile, tmp_path: Path
) -> None:
    made = Catalogue(tmp_path)
    made.load_metadata(read_metadata(metadata, lambda _: None))
    made.settle_rows(metadata.label, lambda _: None)
    wanted = np.array(positions)
    reader = RowReader(made.sorted_rows().path, wanted)
    counts = [min(count, len(wanted) - start) for start in range(0, len(wanted), count)]
    blocks = [reader.take(each) for each in counts]
    assert [block.num_rows for block in blocks] == counts
    expected = made.specimens.rows.choose(wanted).take(column_names())
    assert pa.Table.from_batches(blocks).to_pylist() == expected.to_pylist()


def test_what_the_batches_raise_is_raised_as_it_is(metadata: MetadataFile, tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield next(read_metadata(metadata, lambda _: None))
        raise OSError("the disk is gone")

    made = Catalogue(tmp_path)
    with pytest.raises(OSError, match="the disk is gone"):
        made.load_metadata(batches())


def test_an_interruption_ends_what_runs_in_other_threads(
    metadata: MetadataFile, tmp_path: Path
) -> None:
    made = Catalogue(tmp_path)
    made.load_metadata(read_metadata(metadata, lambda _: None))
    made.settle_rows(metadata.label, lambda _: None)
    with pytest.raises(KeyboardInterrupt), made.giving_up():
        raise KeyboardInterrupt
    with pytest.raises(CancelledError):
        made.vocabularies()
    with pytest.raises(CancelledError):
        made.load_metadata(read_metadata(metadata, lambda _: None))


@pytest.mark.parametrize("limit", [1 << 20, 1 << 30])
def test_a_full_disk_is_told_of(
    limit: int, metadata: MetadataFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_runs(monkeypatch, limit)
    made = Catalogue(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, before[1]))
    try:
        with pytest.raises(OutputError, match=r"the catalogue cannot be made \(File too large\)"):
            made.load_metadata(read_metadata(metadata, lambda _: None))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
