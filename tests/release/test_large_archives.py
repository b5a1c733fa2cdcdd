"""Real archives beyond what the first zip format could say."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from bioscan5m_hf.release.zip_directory import read_directory
from bioscan5m_hf.schema.columns import column_names
from bioscan5m_hf.schema.upstream import METADATA_STEM
from bioscan5m_hf.storage.local import LocalFile
from tests.conftest import Run
from tests.rows import chunk


def write_metadata(root: Path, names: list[str], split: str) -> None:
    with (root / f"{METADATA_STEM}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, column_names(), restval="")
        writer.writeheader()
        writer.writerows(
            {"processid": name, "split": split, "chunk": chunk(name, split)} for name in names
        )


def jpeg(path: Path) -> bytes:
    Image.new("RGB", (8, 8), (200, 200, 210)).save(path, "JPEG")
    return path.read_bytes()


def test_more_than_65535_members(tmp_path: Path, call: Run) -> None:
    root = tmp_path / "release"
    root.mkdir()
    names = [f"LARGE{number:06}-26" for number in range(66_000)]
    image = jpeg(tmp_path / "one.jpg")
    with zipfile.ZipFile(root / "BIOSCAN_5M_cropped_256_train.zip", "w") as archive:
        for name in names:
            place = f"bioscan5m/images/cropped_256/train/{chunk(name, 'train')}/{name}.jpg"
            member = zipfile.ZipInfo(place)
            archive.writestr(member, image)
    write_metadata(root, names, "train")
    call("convert", root, "--output", tmp_path / "out", "--quiet")
    found = pq.read_table(tmp_path / "out" / "cropped_256", columns=["processid"])
    by_digest = sorted(names, key=lambda name: hashlib.md5(name.encode()).digest())
    assert found["processid"].to_pylist() == by_digest


def test_an_archive_of_more_than_4_gb(tmp_path: Path, call: Run) -> None:
    root = tmp_path / "release"
    root.mkdir()
    path = root / "BIOSCAN_5M_cropped_256_eval.zip"
    images = {}
    try:
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(80):
                # Every other member lies beyond a hole, so offsets pass 4 GB without the bytes.
                if number == 40:
                    _leap(archive, 4_400_000_000)
                name = f"FAR{number:03}-26"
                images[name] = jpeg(tmp_path / "one.jpg") + number.to_bytes(2, "big") + b"\xff\xd9"
                archive.writestr(f"bioscan5m/images/cropped_256/val/{name}.jpg", images[name])
        assert path.stat().st_size > 4_294_967_296
        write_metadata(root, list(images), "val")
        with LocalFile(path) as source:
            offsets = [offset for b in read_directory(source) for offset in b["offset"].to_pylist()]
        assert max(offsets) > 4_294_967_296
        call("convert", root, "--output", tmp_path / "out", "--quiet")
    finally:
        path.unlink()
    found = pq.read_table(tmp_path / "out" / "cropped_256")
    assert {
        row["processid"]: row["image"]["bytes"] for row in found.select([0, 1]).to_pylist()
    } == images


def _leap(archive: zipfile.ZipFile, offset: int) -> None:
    assert archive.fp is not None
    archive.fp.seek(offset)
    archive.start_dir = offset


@pytest.mark.parametrize("members", [0, 1])
def test_archives_of_hardly_anything(members: int, tmp_path: Path, call: Run) -> None:
    root = tmp_path / "release"
    root.mkdir()
    with zipfile.ZipFile(root / "BIOSCAN_5M_cropped_256_eval.zip", "w") as archive:
        for number in range(members):
            archive.writestr(
                f"bioscan5m/images/cropped_256/val/ONE{number}.jpg", jpeg(tmp_path / "one.jpg")
            )
    write_metadata(root, [f"ONE{number}" for number in range(members)], "val")
    call("convert", root, "--output", tmp_path / "out", "--quiet", status=0 if members else 1)
