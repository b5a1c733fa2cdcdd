"""A selection on purpose is converted with ``--subset``, which forgives no damage."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Run

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"
TRAIN = "BIOSCAN_5M_cropped_256_train.zip"

Row = dict[str, str]


@pytest.fixture
def source(small_release: Path, tmp_path: Path) -> Path:
    """A release whose metadata are csv alone."""
    root = Path(shutil.copytree(small_release, tmp_path / "release"))
    for path in root.glob("*original*"):
        path.unlink()
    for path in root.rglob("*.jsonld"):
        path.unlink()
    return root


def rows_of(root: Path) -> list[Row]:
    with next(root.rglob(CSV)).open(newline="") as file:
        return list(csv.DictReader(file))


def filter_rows(root: Path, wanted: Callable[[Row], bool]) -> set[str]:
    """Keep some rows as pandas does, with its index; returns their processids."""
    rows = [{"": str(n)} | row for n, row in enumerate(rows_of(root)) if wanted(row)]
    with next(root.rglob(CSV)).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return {row["processid"] for row in rows}


def rewrite(path: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Write a zip anew; a member of which nothing comes back is left out."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            if (changed := change(name, data)) is not None:
                archive.writestr(name, changed)


def converted_ids(output: Path) -> set[str]:
    shards = (output / "cropped_256").glob("*.parquet")
    return {name for path in shards for name in pq.read_table(path)["processid"].to_pylist()}


def test_filtered_metadata_beside_all_archives(source: Path, tmp_path: Path, call: Run) -> None:
    kept = filter_rows(source, lambda row: row["split"] in ("train", "val"))
    output = tmp_path / "output"
    told = call("convert", source, "--output", output, status=1).stderr
    assert "images without a specimen" in told
    assert "--subset" in told
    told = call("convert", source, "--output", output, "--subset").stderr
    assert "the column '' is an index of pandas, and is not read" in told
    assert "cropped_256/pretrain: " in told
    assert "images without a specimen, as in a subset" in told
    assert converted_ids(output) == kept
    assert f"{len(kept)} insects and their kin, each with" in (output / "README.md").read_text()
    assert not (output / "rejects.parquet").exists()
    call("verify", output, "--release", source)


def test_one_part_of_an_archive(source: Path, tmp_path: Path, call: Run) -> None:
    path = source / "BIOSCAN_5M_cropped_256_pretrain.zip"
    first: set[str] = set()

    def half(name: str, data: bytes) -> bytes | None:
        if len(first) >= 20:
            return None
        if name.endswith(".jpg"):
            first.add(Path(name).stem)
        return data

    rewrite(path, half)
    path.rename(source / "BIOSCAN_5M_cropped_256_pretrain.01.zip")
    output = tmp_path / "output"
    options = ("convert", source, "--output", output, "--split", "pretrain")
    assert "specimens without an image" in call(*options, status=1).stderr
    assert "specimens without an image, as in a subset" in call(*options, "--subset").stderr
    assert converted_ids(output) == first
    assert "kin, 20 of them with a photograph," in (output / "README.md").read_text()
    shards = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    (output / "manifest.json").touch()
    call(*options, "--subset")
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    call(*options, status=1)
    call("verify", output, "--release", source)


def damaged(name: str, data: bytes) -> bytes | None:
    return data[:-9] if name.endswith(".jpg") else data


@pytest.mark.parametrize("flaw", ["damage", "another split", "an odd place", "a wrong value"])
def test_what_contradicts_is_no_selection(
    flaw: str, source: Path, tmp_path: Path, call: Run
) -> None:
    if flaw == "damage":
        rewrite(source / TRAIN, damaged)
    elif flaw == "another split":
        rows = rows_of(source)
        wrong = next(row for row in rows if row["split"] == "val")
        data = next(source.rglob(CSV)).read_text()
        line = next(line for line in data.splitlines() if line.startswith(wrong["processid"]))
        next(source.rglob(CSV)).write_text(data.replace(line, line.replace(",val,", ",test,")))
    elif flaw == "an odd place":
        with zipfile.ZipFile(source / TRAIN, "a") as archive:
            archive.writestr("elsewhere/A-1.jpg", b"")
    else:
        filter_rows(source, lambda row: bool(row.update(chunk="zz") or True))
    told = call("convert", source, "--output", tmp_path / "output", "--subset", status=1).stderr
    expected = {
        "damage": "the image is cut off",
        "another split": "1 image without a specimen",
        "an odd place": "1 image in an unknown place (elsewhere/A-1.jpg)",
        "a wrong value": "the chunk is 'zz'",
    }
    assert expected[flaw] in told


def test_inspect_takes_a_selection_as_convert_does(source: Path, tmp_path: Path, call: Run) -> None:
    splits = {row["processid"]: row["split"] for row in rows_of(source)}
    kept = filter_rows(source, lambda row: row["split"] in ("train", "val"))
    lost = min(name for name in kept if splits[name] == "train")
    rewrite(source / TRAIN, lambda name, data: None if name.endswith(f"{lost}.jpg") else data)
    listed = tmp_path / "findings.csv"
    told = json.loads(call("inspect", source, "--findings", listed, "--json", status=1).stdout)
    with listed.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["processid"] for row in rows] == [f["processid"] for f in told["findings"]]
    found = Counter((row["reason"], row["processid"], row["split"]) for row in rows)
    strangers = splits.keys() - kept
    assert found == Counter(
        [("missing-image", lost, "train")]
        + [("orphan-image", name, splits[name]) for name in strangers]
    )
    fitting = call("inspect", source, "--subset").stdout
    assert "cropped_256/train: 1 specimen without an image, as in a subset" in fitting
    number = sum(splits[name] == "pretrain" for name in strangers)
    assert f"cropped_256/pretrain: {number} images without a specimen" in fitting
    assert "What is there fits" in fitting
    assert json.loads(call("inspect", source, "--subset", "--json").stdout)["findings"] == []


def test_a_subset_forgives_no_image_in_another_split(source: Path, call: Run) -> None:
    rows = rows_of(source)
    moved = next(row for row in rows if row["split"] == "val")
    moved["split"] = "test"
    with next(source.rglob(CSV)).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    told = call("inspect", source, "--subset", status=1).stdout
    assert "What does not fit: 1 orphan-image" in told
    assert "cropped_256/test: 1 specimen without an image, as in a subset" in told
