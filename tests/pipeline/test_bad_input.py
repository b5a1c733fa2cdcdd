"""Bad input through the command line: one clear line, the right status, nothing half-written.

What is found in a worker process, and what a full disk does to it, is tried with processes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import Run

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"
EVAL = "BIOSCAN_5M_cropped_256_eval.zip"


@pytest.fixture
def copy(small_release: Path, tmp_path: Path) -> Path:
    """A release that a test may spoil."""
    root = tmp_path / "release"
    shutil.copytree(small_release, root)
    for path in root.glob("*original*"):
        path.unlink()
    return root


def refused(call: Run, root: Path, *options: str, status: int = 1) -> str:
    """Convert, expect an error, and return its line."""
    output = root.parent / "out"
    done = call("convert", root, "--output", output, *options, status=status)
    # Shards that were finished before a flawed image was met are kept for the next run; nothing
    # says that they are a dataset, and nothing is half-written.
    left = [path.relative_to(output) for path in output.rglob("*") if path.is_file()]
    shards = [path for path in left if path.suffix == ".parquet"]
    receipts = list(output.glob(".bioscan5m/receipts/*.json"))
    others = [path for path in left if path not in shards and ".bioscan5m" not in path.parts]
    # One may have been finished in the moment that another one failed; each is whole.
    assert len(shards) >= len(receipts)
    assert all(pq.read_metadata(output / path).num_rows for path in shards)
    assert not others
    assert output.exists() == bool(shards)
    [line] = [line for line in done.stderr.splitlines() if line.startswith("bioscan5m: error: ")]
    return line


def edit_csv(root: Path, change: Callable[[list[str]], list[str]]) -> None:
    lines = (root / CSV).read_text("utf-8").splitlines()
    (root / CSV).write_text("\n".join(change(lines)) + "\n", "utf-8")


def rewrite_zip(path: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            if changed := change(name, data):
                archive.writestr(*changed)


def first_image(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return next(name for name in archive.namelist() if name.endswith(".jpg"))


def test_no_release(tmp_path: Path, call: Run) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images of BIOSCAN-5M" in refused(call, tmp_path / "empty")
    assert "does not exist" in refused(call, tmp_path / "absent")


def test_no_metadata(copy: Path, call: Run) -> None:
    for path in copy.glob("*metadata*"):
        path.unlink()
    assert "no metadata in this folder" in refused(call, copy)


@pytest.mark.parametrize(
    ("option", "nearest", "listed"),
    [("--package=croped_256", "cropped_256", "original_full"), ("--split=vall", "val", "unseen")],
)
def test_a_wrong_name_lists_the_valid_ones(
    option: str, nearest: str, listed: str, copy: Path, call: Run
) -> None:
    line = refused(call, copy, option, status=2)
    assert f"did you mean '{nearest}'?" in line
    assert listed in line


def test_a_wrong_format_is_wrong_usage(copy: Path, call: Run) -> None:
    assert "valid names: parquet, arrow, webdataset" in refused(
        call, copy, "--format=csv", status=2
    )


def test_a_package_or_split_that_is_not_there(copy: Path, call: Run) -> None:
    assert "there are no images of cropped " in refused(call, copy, "--package=cropped")
    (copy / EVAL).unlink()
    assert "there are no images of cropped_256 for val" in refused(call, copy, "--split=val")


def test_a_truncated_zip(copy: Path, call: Run) -> None:
    data = (copy / EVAL).read_bytes()
    for kept in (len(data) // 2, len(data) - 10, 30):
        (copy / EVAL).write_bytes(data[:kept])
        line = refused(call, copy)
        assert EVAL in line
        assert "truncated" in line


def test_not_a_zip(copy: Path, call: Run) -> None:
    (copy / EVAL).write_bytes(b"<html>404</html>" * 100)
    assert re.search(rf"{EVAL}: is not a zip archive", refused(call, copy))


def test_an_encrypted_zip(copy: Path, call: Run) -> None:
    name = first_image(copy / EVAL)
    data = bytearray((copy / EVAL).read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(name.encode()))
    data[at + 8] |= 1
    (copy / EVAL).write_bytes(data)
    line = refused(call, copy)
    assert "is encrypted" in line
    assert name in line


def test_a_column_too_few_or_too_many(copy: Path, call: Run) -> None:
    text = (copy / CSV).read_text("utf-8")
    edit_csv(copy, lambda lines: [lines[0].replace("dna_bin", "bin_uri"), *lines[1:]])
    line = refused(call, copy)
    assert "lacks 'dna_bin'" in line
    assert "unknown 'bin_uri'" in line
    (copy / CSV).write_text(text, "utf-8")
    edit_csv(copy, lambda lines: [f"{line},x" for line in lines])
    assert "has the unknown 'x'" in refused(call, copy)


def test_a_broken_row_names_its_number(copy: Path, call: Run) -> None:
    edit_csv(copy, lambda lines: [*lines[:4], "only,three,fields", *lines[4:]])
    line = refused(call, copy)
    assert f"{CSV}: row 5" in line
    assert "has 3 fields instead of 23" in line


def test_a_duplicate_processid_names_both_rows(copy: Path, call: Run) -> None:
    edit_csv(copy, lambda lines: [*lines, lines[3]])
    line = refused(call, copy)
    assert "row 82" in line
    assert "stands already in row 4" in line


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("split", "validation_set", "there is no split 'validation_set'"),
        ("coord-lat", "north", "coord-lat is not a number: 'north'"),
        ("coord-lon", "nan", "coord-lon is not a number: 'nan'"),
        ("image_measurement_value", "12.5", "image_measurement_value is not a whole number"),
        ("inferred_ranks", "900", "inferred_ranks is not a whole number from"),
        ("processid", "", "processid is empty"),
        ("processid", "../../etc/passwd", "cannot be the name of a file"),
        ("processid", "a.b", "cannot be the name of a file"),
        ("processid", "a/b", "cannot be the name of a file"),
        ("processid", "..", "cannot be the name of a file"),
        ("processid", "a\x00b", "cannot be the name of a file"),
    ],
)
def test_a_value_that_does_not_parse(
    column: str, value: str, told: str, copy: Path, call: Run
) -> None:
    def change(lines: list[str]) -> list[str]:
        index = lines[0].split(",").index(column)
        # A row without quotes, so that it can be taken apart at its commas.
        row = next(i for i, line in enumerate(lines[1:], 1) if '"' not in line)
        fields = lines[row].split(",")
        fields[index] = value
        return [*lines[:row], ",".join(fields), *lines[row + 1 :]]

    edit_csv(copy, change)
    line = refused(call, copy)
    assert told in line
    assert "row " in line


def test_two_archives_with_different_bytes_for_one_image(copy: Path, call: Run) -> None:
    name = first_image(copy / EVAL)
    shutil.copy(copy / EVAL, copy / "BIOSCAN_cropped_256_eval.zip")
    rewrite_zip(
        copy / "BIOSCAN_cropped_256_eval.zip",
        lambda member, data: (member, data + b"\xff\xd9" if member == name else data),
    )
    line = refused(call, copy)
    assert name in line
    assert EVAL in line
    assert "BIOSCAN_cropped_256_eval.zip" in line


def test_a_wrong_crc(copy: Path, run: Run) -> None:
    with zipfile.ZipFile(copy / EVAL) as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith(".jpg"))
    data = bytearray((copy / EVAL).read_bytes())
    at = data.rfind(b"PK\x01\x02", 0, data.rfind(info.filename.encode()))
    data[at + 16] ^= 1
    (copy / EVAL).write_bytes(data)
    line = refused(run, copy)
    assert "its CRC is wrong" in line
    assert f"{EVAL}: {info.filename}" in line


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[:0], "the image is empty"),
        (lambda data: b"GIF89a" + data, "the image is not a JPEG"),
        (lambda data: data[:-200], "the image is cut off"),
    ],
)
def test_an_image_that_is_none(
    spoil: Callable[[bytes], bytes], told: str, copy: Path, call: Run
) -> None:
    name = first_image(copy / EVAL)
    rewrite_zip(copy / EVAL, lambda n, data: (n, spoil(data) if n == name else data))
    line = refused(call, copy)
    assert told in line
    assert name in line


def test_an_image_without_a_row_and_a_row_without_an_image(copy: Path, call: Run) -> None:
    name = first_image(copy / EVAL)
    processid = Path(name).stem
    rewrite_zip(copy / EVAL, lambda n, data: (n.replace(processid, "STRANGER-1"), data))
    line = refused(call, copy)
    assert f"1 specimen without an image ({processid})" in line
    assert "1 image without a specimen (STRANGER-1)" in line
    inspected = call("inspect", copy, "--findings", copy.parent / "found.csv", status=1)
    assert "1 missing-image" in inspected.stdout
    found = (copy.parent / "found.csv").read_text().splitlines()
    assert len(found) == 3
    assert any(f"cropped_256,{processid}," in row for row in found)

    output = copy.parent / "out"
    done = call("convert", copy, "--output", output, "--on-error", "record")
    assert "rejects.parquet" in done.stdout
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["rejects"] == {"missing-image": 1, "orphan-image": 1}
    call("verify", output, "--release", copy)


def test_an_output_folder_that_is_not_ours(copy: Path, call: Run) -> None:
    output = copy.parent / "thesis"
    output.mkdir()
    (output / "chapter-1.txt").write_text("do not touch")
    line = call("convert", copy, "--output", output, status=1).stderr
    assert "this program did not make it (it holds chapter-1.txt)" in line
    assert [path.name for path in output.iterdir()] == ["chapter-1.txt"]


def test_an_output_folder_inside_the_release(copy: Path, call: Run) -> None:
    before = sorted(copy.rglob("*"))
    for output in (copy, copy / "bioscan-5m", copy.parent):
        line = call("convert", copy, "--output", output, status=1).stderr
        assert "must not lie within each other" in line
    assert sorted(copy.rglob("*")) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of 8 MB, which needs the right to mount."""
    path = tmp_path / "small-disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    return path


def test_a_full_disk(copy: Path, small_disk: Path, run: Run) -> None:
    try:
        (small_disk / "ballast").write_bytes(bytes(8_050_000))
        line = run("convert", copy, "--output", small_disk / "out", status=1).stderr
        assert "run the same command again" in line
        # Shards that fitted stay for the next run, with or without the receipt that no longer did;
        # so it is not asked how many. But they must be whole, and nothing may say that all is done.
        assert not list(small_disk.rglob("*.partial"))
        for path in small_disk.rglob("*.parquet"):
            pq.read_table(path)
        assert not (small_disk / "out" / "manifest.json").exists()
        assert not (small_disk / "out" / "README.md").exists()
        (small_disk / "ballast").unlink()
        run("convert", copy, "--output", small_disk / "out")
        run("verify", small_disk / "out")
    finally:
        subprocess.run(["umount", small_disk], check=True)


@pytest.mark.parametrize("command", ["verify", "card", "publish"])
def test_each_place_that_is_no_dataset_folder_has_its_message(
    command: str, small_release: Path, tmp_path: Path, call: Run
) -> None:
    (tmp_path / "empty").mkdir()
    for place, told in {
        tmp_path / "nowhere": "does not exist",
        tmp_path / "empty": "is not a finished dataset folder: it has no manifest",
        small_release: "is a release, not a dataset folder",
        next(small_release.glob("*.zip")): "is a file, not a dataset folder",
    }.items():
        words = [command, place, *(["user/name"] if command == "publish" else [])]
        assert f"{place}: {told}" in call(*words, status=1).stderr


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_each_place_that_is_no_release_has_its_message(
    command: str, converted: Path, tmp_path: Path, call: Run
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.zip").touch()
    for place, told in {
        tmp_path / "nowhere": "does not exist",
        tmp_path / "empty": "no images of BIOSCAN-5M in this folder",
        converted: "is a converted dataset folder, not a release",
        tmp_path / "other.zip": "is a file whose name is not one of upstream's archives",
    }.items():
        words = [command, place, *(["--output", tmp_path / "out"] if command == "convert" else [])]
        assert f"{place}: {told}" in call(*words, status=1).stderr
