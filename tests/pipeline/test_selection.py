"""Less than everything: ``convert`` with a condition, with so many of each taxon, with a sample."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf import get, labels, load_dataset
from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.columns import SPLITS
from conversion.catalogue.selection import SpecimenSelection
from conversion.folder.manifest import Manifest, read_manifest
from conversion.pipeline.option import PerTaxon
from tests.conftest import Run
from tests.independent import read_release
from tests.reading.range_server import serve

Rows = list[dict[str, Any]]


def md5(row: dict[str, Any]) -> str:
    return hashlib.md5(row["processid"].encode()).hexdigest()


@pytest.fixture(scope="module")
def every(small_release: Path) -> Rows:
    """The records of the release, in the order of shards."""
    found = read_release(small_release, "cropped_256")
    return [s.row for split in SPLITS for s in found.get(split.published, [])]


def converted(output: Path, package: str = "cropped_256") -> Rows:
    found: Rows = []
    for split in SPLITS:
        for path in sorted((output / package).glob(f"{split.published}-*.parquet")):
            table = pq.read_table(path)
            found += [row for row in table.to_pylist() if row.pop("image", True)]
    return found


def per_taxon(rows: Rows, rank: str, least: int, most: int) -> Rows:
    counts = Counter(row[rank] for row in rows if row[rank])
    taken: Counter[str] = Counter()
    kept = set()
    for row in sorted(rows, key=md5):
        if row[rank] and counts[row[rank]] >= least and taken[row[rank]] < most:
            taken[row[rank]] += 1
            kept.add(row["processid"])
    return [row for row in rows if row["processid"] in kept]


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
def test_a_condition(
    form: str, every: Rows, small_release: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "out"
    words = ("convert", small_release, output, "--format", form, "--where")
    told = call(*words, "order = Diptera and species is missing").stderr
    wanted = [row for row in every if row["order"] == "Diptera" and row["species"] is None]
    assert 0 < len(wanted) < len(every)
    assert f"{len(wanted)} of {len(every)} specimens: those with order = Diptera" in told
    for package in ("cropped_256", "original_256"):
        rows = [row for ds in load_dataset(output, package).values() for row in ds]
        assert sorted(row["processid"] for row in rows) == sorted(r["processid"] for r in wanted)
    assert labels(output, "order").names == ["Diptera"]
    assert get(output, wanted[0]["processid"])[0]["image"].size
    card = (output / "README.md").read_text()
    assert "## Selection" in card
    assert "order &#61; Diptera and species is missing" in card
    call("verify", output, "--release", small_release)
    manifest = read_manifest(output)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.selection == SpecimenSelection("order = Diptera and species is missing")


@pytest.mark.parametrize("numbers", [("family", 3, 4), ("order", 1, 2)])
def test_so_many_of_each_taxon(
    numbers: tuple[str, int, int], every: Rows, small_release: Path, tmp_path: Path, call: Run
) -> None:
    rank, least, most = numbers
    output = tmp_path / "out"
    call("convert", small_release, output, "--per-taxon", f"{rank}:{least}:{most}")
    wanted = per_taxon(every, rank, least, most)
    assert 0 < len(wanted) < len(every)
    assert converted(output) == wanted
    call("verify", output, "--release", small_release)
    assert f"of each {rank} with at least {least}" in (output / "README.md").read_text()


@pytest.mark.parametrize("count", [1, 7, 40, 79, 80, 500])
def test_a_sample_is_spread_over_the_splits(
    count: int, every: Rows, small_release: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "out"
    call("convert", small_release, output, "--sample", str(count), "--package", "cropped_256")
    rows = converted(output)
    assert len(rows) == min(count, len(every))
    sizes = Counter(row["split"] for row in every)
    for split, size in sizes.items():
        of_split = [row for row in rows if row["split"] == split]
        assert abs(len(of_split) - min(count, len(every)) * size / len(every)) < 1
        assert of_split == [row for row in every if row["split"] == split][: len(of_split)]


def test_all_at_once_in_this_order(
    every: Rows, small_release: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "out"
    call(
        "convert", small_release, output, "--where", "family is not missing",
        "--per-taxon", "family:2:3", "--sample", "10",
    )  # fmt: skip
    chosen = per_taxon([row for row in every if row["family"]], "family", 2, 3)
    rows = converted(output)
    assert len(rows) == min(10, len(chosen))
    assert {row["processid"] for row in rows} <= {row["processid"] for row in chosen}


def test_other_values_are_told_as_different(small_release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "out"
    words = ("convert", small_release, output, "--package", "cropped_256")
    call(*words, "--sample", "20")
    assert "nothing to do" in call(*words, "--sample", "20").stderr
    before = (output / "manifest.json").read_bytes()
    told = call(*words, "--sample", "30", status=1).stderr
    assert "the specimens were 20 of them" in told
    assert "and are 30 of them" in told
    told = call(*words, status=1).stderr
    assert "and are every specimen" in told
    assert (output / "manifest.json").read_bytes() == before
    # Another package is added with the same selection; the splits are the same whichever are asked.
    call(*words[:3], "--package", "original_256", "--split", "pretrain", "--sample", "20")
    assert set(json.loads((output / "manifest.json").read_bytes())["configurations"]) == {
        "original_256", "cropped_256", "metadata",
    }  # fmt: skip
    wanted = [row["processid"] for row in converted(output) if row["split"] == "pretrain"]
    assert [row["processid"] for row in converted(output, "original_256")] == wanted
    call(*words, "--sample", "30", "--restart", "--package", "original_256")
    assert len(converted(output)) == 30


def test_an_interrupted_selection_is_told_too(
    small_release: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conversion.pipeline import steps

    output = tmp_path / "out"
    words = ("convert", small_release, output, "--package", "cropped_256", "--shard-size", "100kB")

    def fail(*_: object) -> None:
        raise UsageError("stopped here")

    with monkeypatch.context() as patch:
        patch.setattr(steps._Conversion, "_settle", fail)
        call(*words, "--sample", "30", status=2)
    told = call(*words, "--sample", "40", status=1).stderr
    assert "the selection was 30 of them" in told
    call(*words, "--sample", "30")
    assert len(converted(output)) == 30


@pytest.mark.parametrize(
    ("words", "named", "advice"),
    [
        (("--where", "familie = x"), "familie", "did you mean 'family'"),
        (("--where", "coord-lat > north"), "north", "number"),
        (("--per-taxon", "family:10"), "family:10", "write family:10:50"),
        (("--per-taxon", "famly:10:50"), "famly", "did you mean 'family'"),
        (("--per-taxon", "family:0:50"), "'0'", "above zero"),
        (("--sample", "0"), "'0'", "above zero"),
        (("--where", "order = Nothing"), "no specimen of 80 is selected", "order = Nothing"),
        (("--per-taxon", "family:1000:1000"), "no specimen of 80 is selected", "family"),
    ],
)
def test_what_cannot_be_chosen(
    words: tuple[str, str], named: str, advice: str, small_release: Path, tmp_path: Path, call: Run
) -> None:
    told = call("convert", small_release, tmp_path / "out", *words, status=2).stderr
    assert named in told
    assert advice in told
    assert not (tmp_path / "out").exists()


def test_an_orphan_is_one_still(small_release: Path, tmp_path: Path, call: Run) -> None:
    import shutil
    import zipfile

    source = Path(shutil.copytree(small_release, tmp_path / "release"))
    with zipfile.ZipFile(source / "BIOSCAN_5M_cropped_256_train.zip", "a") as archive:
        name = next(n for n in archive.namelist() if n.endswith(".jpg"))
        archive.writestr(name.rpartition("/")[0] + "/NOBODY1-20.jpg", archive.read(name))
    words = ("convert", source, tmp_path / "out", "--package", "cropped_256", "--sample", "20")
    assert "1 image without a specimen" in call(*words, status=1).stderr


def test_only_what_is_wanted_is_fetched(release: Path, tmp_path: Path, call: Run) -> None:
    with serve(release, lists=True) as served:
        call(
            "convert", served.url, tmp_path / "out", "--package", "cropped_256",
            "--sample", "20", "--split", "pretrain",
        )  # fmt: skip
        sent = served.traffic.sent("pretrain.zip")
    archive = release / "BIOSCAN_5M_cropped_256_pretrain.zip"
    assert sent < archive.stat().st_size / 4
    assert len(converted(tmp_path / "out")) > 10


def test_shares_are_fair_for_any_sizes() -> None:
    from bioscan5m_hf.catalogue.keys import first_key
    from bioscan5m_hf.catalogue.runs import SortedRuns

    rng = np.random.default_rng(1)
    for _ in range(50):
        sizes = rng.integers(0, 30, len(SPLITS))
        keys = np.concatenate(
            [
                int(first_key(split)) + np.arange(size, dtype=np.uint64)
                for split, size in zip(SPLITS, sizes.tolist(), strict=True)
            ]
        ).astype(np.uint64)
        total = int(sizes.sum())
        rows = SortedRuns(Path(), keys, np.arange(total, dtype=np.uint32))
        count = int(rng.integers(1, total + 5))
        chosen = SpecimenSelection(sample=count).choose(rows)
        assert chosen.sum() == min(count, total)


def test_told_in_words() -> None:
    assert not SpecimenSelection()
    assert SpecimenSelection().description == "every specimen"
    whole = SpecimenSelection("order = Diptera", PerTaxon("family", 10, 50), 2000)
    assert SpecimenSelection.from_json(whole.to_json()) == whole
    assert whole.description.count(";") == 2
