"""Options on DNA barcodes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.schema.order import keys_of
from tests.reading.conftest import Rows


def _unique(rows: Rows, cut: int | None) -> set[str]:
    best: dict[str, bytes] = {}
    names: dict[str, str] = {}
    for row in rows:
        barcode = row["dna_barcode"][:cut].rstrip("N")
        key = hashlib.md5(row["processid"].encode()).digest()
        if barcode not in best or key < best[barcode]:
            best[barcode], names[barcode] = key, row["processid"]
    return set(names.values())


def test_barcodes_are_whole_by_default(
    forms: Path, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    for form in ("zips", "parquet"):
        ds = load_dataset(forms / form, split="all", streaming=True, cache_dir=tmp_path)
        found = {row["processid"]: row["dna_barcode"] for row in ds.decode(False)}
        assert found == {
            row["processid"]: row["dna_barcode"] for rows in truth[None].values() for row in rows
        }
        assert max(map(len, found.values())) > 600


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset", "zips-http"])
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
def test_one_specimen_for_each_barcode(
    kind: str,
    streaming: bool,
    root_of: Any,
    truth: dict[str | None, dict[str, Rows]],
    tmp_path: Path,
) -> None:
    for split, cut in (("pretrain+train", None), ("pretrain+train", 20), ("val", 5)):
        ds = load_dataset(
            root_of(kind), split=split, unique_barcodes=True, max_nucleotides=cut,
            streaming=streaming, cache_dir=tmp_path, columns=["processid", "dna_barcode"],
        )  # fmt: skip
        names = ["validation"] if split == "val" else split.split("+")
        rows = [row for name in names for row in truth[None][name]]
        found = list(ds)
        assert sorted(row["processid"] for row in found) == sorted(_unique(rows, cut))
        barcodes = {row["processid"]: row["dna_barcode"] for row in rows}
        assert all(row["dna_barcode"] == barcodes[row["processid"]][:cut] for row in found)
    assert len(found) < len(rows)


def test_unique_among_the_rows_that_match(
    forms: Path, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    rows = [row for split in truth[None].values() for row in split if row["order"] == "Diptera"]
    ds = load_dataset(
        forms / "parquet", split="all", unique_barcodes=True, max_nucleotides=30, streaming=True,
        where=("order", "==", "Diptera"), columns=["processid"], cache_dir=tmp_path,
    )  # fmt: skip
    assert {row["processid"] for row in ds} == _unique(rows, 30)


def test_keys_sort_as_the_digests_do() -> None:
    names = [f"id-{number}" for number in range(500)]
    digests = [hashlib.md5(name.encode()).digest() for name in names]
    order = sorted(range(500), key=lambda n: digests[n])
    assert keys_of(names).argsort().tolist() == order
