"""Deriving through the command line, against Pillow and against flawed releases."""

from __future__ import annotations

import csv
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from PIL import Image

from conversion.derive.bbox import BBOX_COLUMNS
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.derive.pictures import psnr

BBOX = "BIOSCAN_5M_Insect_bbox.tsv"
SPECIMENS = 60


@pytest.fixture(scope="session")
def originals(shared: Path) -> Path:
    """Originals only, with their bounding boxes."""
    return make_once(
        shared / "originals",
        lambda root: write_sample(
            SampleOptions(root, SPECIMENS, seed=5, workers=1, packages=("original_full",))
        ),
    )


@pytest.fixture(scope="session")
def derived(originals: Path, shared: Path, call: Run) -> Path:
    def make(root: Path) -> None:
        words = ("convert", originals, "--output", root, "--derive")
        call(*words, *("--package", "cropped_256", "--package", "original_256"))
        call(*words, "--package", "cropped")
        call(*words, "--package", "cropped", "--short-side", "64")

    return make_once(shared / "derived", make)


def boxes(release: Path) -> dict[str, tuple[int, int, int, int]]:
    with (release / BBOX).open() as file:
        return {
            row["processid"]: (int(row["x0"]), int(row["y0"]), int(row["x1"]), int(row["y1"]))
            for row in csv.DictReader(file, delimiter="\t")
        }


def sources(release: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in release.rglob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".jpg"):
                    found[Path(name).stem] = archive.read(name)
    return found


def images(folder: Path, package: str) -> dict[str, bytes]:
    return {
        row["processid"]: row["image"]["bytes"]
        for path in sorted((folder / package).glob("*.parquet"))
        for row in pq.read_table(path, columns=["image", "processid"]).to_pylist()
    }


def test_every_crop_is_what_pillow_cuts_from_the_original(originals: Path, derived: Path) -> None:
    edges, taken = boxes(originals), sources(originals)
    made = images(derived, "cropped")
    assert set(made) == set(edges) == set(taken)
    assert len(made) == SPECIMENS
    for processid, data in made.items():
        left, upper, right, lower = edges[processid]
        whole = Image.open(io.BytesIO(taken[processid])).convert("RGB")
        expected = Image.new("RGB", (right - left, lower - upper), (240, 240, 240))
        expected.paste(whole, (-left, -upper))
        assert psnr(Image.open(io.BytesIO(data)), expected) > 33, processid
    small = images(derived, "cropped_256")
    for processid, data in small.items():
        crop = Image.open(io.BytesIO(made[processid]))
        picture = Image.open(io.BytesIO(data))
        assert min(picture.size) == 256
        expected = crop.resize(picture.size, Image.Resampling.LANCZOS)
        assert psnr(picture, expected) > 30, processid


def test_the_other_sizes(derived: Path) -> None:
    for package, side in (("original_256", 256), ("cropped_64", 64)):
        found = images(derived, package)
        assert len(found) == SPECIMENS
        assert {min(Image.open(io.BytesIO(data)).size) for data in found.values()} == {side}


def test_datasets_loads_them_by_name(derived: Path) -> None:
    rows = load_dataset(str(derived), "cropped_64_eval", split="validation")
    assert min(rows[0]["image"].size) == 64


def test_verify_makes_them_again(originals: Path, derived: Path, call: Run) -> None:
    done = call("verify", derived, "--release", originals, "--images")
    assert "everything matches the manifest" in done.stdout


def test_they_are_marked(derived: Path) -> None:
    record = json.loads((derived / "manifest.json").read_bytes())["derived"]
    assert set(record) == {"cropped", "original_256", "cropped_256", "cropped_64"}
    assert record["cropped_256"]["recipe"] == {
        "package": "cropped_256",
        "source": "original_full",
        "crop": True,
        "short_side": 256,
        "quality": 75,
        "filter": "catmull-rom",
    }
    assert set(record["cropped"]["libraries"]) == {"simplejpeg", "cykooz-resizer"}
    card = (derived / "README.md").read_text()
    assert "untouched, except in" in card
    assert "## Derived images" in card
    assert "made from original_full, shorter side 256 pixels (catmull-rom), JPEG quality 75" in card


def test_the_same_again_with_another_number_of_workers(
    originals: Path, derived: Path, tmp_path: Path, call: Run
) -> None:
    words = ("convert", originals, "--package", "cropped_256", "--derive", "--workers", "2")
    call(*words, "--output", tmp_path / "out")
    assert images(tmp_path / "out", "cropped_256") == images(derived, "cropped_256")
    again = call(*words, "--output", tmp_path / "out")
    assert "0 shards made" in again.stdout


def test_from_crops_alone(derived: Path, originals: Path, tmp_path: Path, call: Run) -> None:
    """A release of crops only, without boxes, as a user who never had the originals has it."""
    release = tmp_path / "release"
    with zipfile.ZipFile(_zip(release, "BIOSCAN_5M_cropped.01.zip"), "w") as archive:
        for path in sorted((derived / "cropped").glob("*.parquet")):
            for row in pq.read_table(path).to_pylist():
                name = "/".join(filter(None, (row["split"], row["chunk"], row["processid"])))
                archive.writestr(f"bioscan5m/images/cropped/{name}.jpg", row["image"]["bytes"])
    for path in originals.rglob("*metadata*.csv"):
        shutil.copy(path, release)
    words = ("convert", release, "--output", tmp_path / "out", "--package", "cropped_256")
    call(*words, "--derive")
    made, expected = images(tmp_path / "out", "cropped_256"), images(derived, "cropped_256")
    assert {k: Image.open(io.BytesIO(v)).size for k, v in made.items()} == {
        k: Image.open(io.BytesIO(v)).size for k, v in expected.items()
    }
    # One recipe is not mixed with another, whatever is asked for.
    shutil.copytree(derived, tmp_path / "other")
    words = ("convert", release, "--output", tmp_path / "other", "--package", "cropped_256")
    done = call(*words, "--derive", "--restart", status=1)
    assert "would be mixed with" in done.stderr


def _zip(release: Path, name: str) -> Path:
    release.mkdir()
    return release / name


def test_upstreams_own_are_not_mixed_with_derived_ones(
    small_release: Path, derived: Path, tmp_path: Path, call: Run
) -> None:
    words = ("convert", small_release, "--output", tmp_path / "out", "--package", "cropped_256")
    assert "upstream's own cropped_256" in call(*words, "--derive", status=2).stderr
    shutil.copytree(derived, tmp_path / "copy")
    words = ("convert", small_release, "--output", tmp_path / "copy", "--package", "cropped_256")
    done = call(*words, "--restart", status=1)
    assert "is made from original_full" in done.stderr
    assert "choose another --output" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--derive",), 2, "add --package NAME"),
        (("--package", "cropped", "--short-side", "64"), 2, "add --derive"),
        (("--package", "cropped_256", "--short-side", "64", "--derive"), 2, "size in its name"),
        (("--package", "original_full", "--derive"), 2, "upstream's own original_full"),
        (("--package", "cropped_256", "--derive", "cropped"), 1, "packages found: original_full"),
        (("--package", "cropped_256", "--derive", "crooped"), 2, "did you mean 'cropped'"),
    ],
)
def test_wrong_usage(
    originals: Path, tmp_path: Path, call: Run, words: tuple[str, ...], status: int, told: str
) -> None:
    done = call("convert", originals, "--output", tmp_path / "out", *words, status=status)
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


Change = Callable[[list[dict[str, str]]], None]


def with_boxes(originals: Path, folder: Path, change: Change) -> tuple[Path, list[dict[str, str]]]:
    """The same release with other bounding boxes."""
    shutil.copytree(originals, folder)
    with (folder / BBOX).open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    change(rows)
    with (folder / BBOX).open("w", newline="") as file:
        writer = csv.DictWriter(file, BBOX_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return folder, rows


def spoil(rows: list[dict[str, str]]) -> None:
    """Each flaw of a box once, in the first rows."""
    rows[0]["width_original"] = "1023"
    rows[1] |= {"x0": "5000", "x1": "5100"}
    rows[2]["x1"] = rows[2]["x0"]
    rows[3]["y1"] = str(int(rows[3]["y1"]) + 9)
    rows[4]["x0"] = "3.5"
    rows[5]["y0"] = ""
    rows.append(rows[6] | {"x0": "1"})
    rows.append(dict(rows[7]))
    del rows[8]


SPOILED = {0: "other-size", 1: "bad-box", 2: "bad-box", 3: "box-mismatch"} | dict.fromkeys(
    (4, 5, 6), "bad-box"
)


def test_flawed_boxes_are_recorded_one_by_one(originals: Path, tmp_path: Path, call: Run) -> None:
    names = list(boxes(originals))
    release, _ = with_boxes(originals, tmp_path / "release", spoil)
    words = ("convert", release, "--output", tmp_path / "out", "--package", "cropped_256")
    call(*words, "--derive", "--on-error", "record")
    rejects = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    expected = {names[number]: reason for number, reason in SPOILED.items()}
    expected[names[8]] = "missing-box"
    assert {row["processid"]: row["reason"] for row in rejects} == expected
    assert {row["package"] for row in rejects} == {"cropped_256"}
    assert set(images(tmp_path / "out", "cropped_256")) == set(names) - set(expected)
    done = call("verify", tmp_path / "out", "--release", release)
    assert "everything matches the manifest" in done.stdout


def test_flawed_boxes_stop_a_strict_run(originals: Path, tmp_path: Path, call: Run) -> None:
    def shift(rows: list[dict[str, str]]) -> None:
        rows[3]["y1"] = str(int(rows[3]["y1"]) + 9)

    release, rows = with_boxes(originals, tmp_path / "release", shift)
    words = ("convert", release, "--output", tmp_path / "out", "--package", "cropped", "--derive")
    done = call(*words, status=1)
    assert f"{rows[3]['processid']}.jpg: the bounding box of the image and the metadata differ" in (
        done.stderr
    )
    assert (
        not list((tmp_path / "out").glob("*/*.parquet"))
        or not (tmp_path / "out" / "manifest.json").exists()
    )


def test_missing_boxes_are_told_before_the_start(
    originals: Path, tmp_path: Path, call: Run
) -> None:
    release, _ = with_boxes(originals, tmp_path / "release", lambda _: None)
    words = ("convert", release, "--output", tmp_path / "out", "--package", "cropped", "--derive")
    text = (release / BBOX).read_text().splitlines(keepends=True)
    (release / BBOX).write_text("".join([text[0], *text[10:]]))
    assert "there is no bounding box for 9 specimens" in call(*words, status=1).stderr
    (release / BBOX).write_text("processid\tx\n")
    assert "its columns are processid, x" in call(*words, status=1).stderr
    (release / BBOX).write_text(text[0] + "a\tb\tc\n")
    assert "bbox.tsv: cannot be read" in call(*words, status=1).stderr
    (release / BBOX).unlink()
    assert "needs the bounding boxes" in call(*words, status=1).stderr


def test_a_corrupt_original(originals: Path, tmp_path: Path, call: Run) -> None:
    release = tmp_path / "release"
    shutil.copytree(originals, release)
    path = min(release.rglob("*.zip"))
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    victim = next(name for name in members if name.endswith(".jpg"))
    data = members[victim]
    # Both ends are as they should be, and the CRC is of these bytes: only decoding tells.
    middle = len(data) // 2
    members[victim] = data[:middle] + data[middle + 2000 :]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    words = ("convert", release, "--output", tmp_path / "out", "--package", "original_256")
    done = call(*words, "--derive", status=1)
    assert "the image cannot be decoded" in done.stderr
    call(*words, "--derive", "--on-error", "record")
    (reject,) = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()
    assert (reject["reason"], reject["processid"]) == ("undecodable", Path(victim).stem)
