"""Raw releases that are not whole: nothing is lost silently."""

from __future__ import annotations

import csv
import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.errors import ImageError, MetadataError, MismatchError, ReleaseNotFound
from tests.reading.conftest import by_id, plain

EVAL = "BIOSCAN_5M_cropped_256_eval.zip"
CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"


@pytest.fixture
def broken(small_release: Path, tmp_path: Path) -> Path:
    root = tmp_path / "broken"
    root.mkdir()
    for name in (EVAL, CSV):
        shutil.copy(small_release / name, root / name)
    return root


def _rezip(path: Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = [(n, archive.read(n)) for n in archive.namelist() if not n.endswith("/")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            for new_name, new_data in change(name, data):
                archive.writestr(new_name, new_data)


def _first(path: Path, split: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return min(n for n in archive.namelist() if f"/{split}/" in n and n.endswith(".jpg"))


def _load(root: Path, **options: Any) -> list[dict[str, Any]]:
    cache = root.parent / "cache"
    return plain(load_dataset(root, split="val", streaming=True, cache_dir=cache, **options))


def test_a_missing_image(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = _load(broken)
    gone = _first(broken / EVAL, "val")
    _rezip(broken / EVAL, lambda name, data: [] if name == gone else [(name, data)])
    with pytest.raises(
        MismatchError, match="no image of cropped_256 for 1 specimen of val"
    ) as caught:
        _load(broken)
    assert Path(gone).stem in str(caught.value)
    with caplog.at_level(logging.WARNING):
        rest = _load(broken, on_error="skip")
    assert by_id(rest) == by_id([r for r in whole if r["processid"] != Path(gone).stem])
    assert "left out" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"not a jpeg", b"\xff\xd8\xff and no end"])
def test_a_flawed_image(damage: bytes, broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = _first(broken / EVAL, "val")
    _rezip(broken / EVAL, lambda name, data: [(name, damage if name == bad else data)])
    with pytest.raises(ImageError, match=Path(bad).name):
        _load(broken)
    with pytest.raises(ImageError, match=Path(bad).name):
        load_dataset(broken, split="val", cache_dir=broken.parent / "cache")
    with pytest.raises(ImageError, match=Path(bad).name):
        load_dataset(broken, split="val", cache_dir=broken.parent / "cache", num_proc=2)
    with caplog.at_level(logging.WARNING):
        rest = _load(broken, on_error="skip")
    assert Path(bad).stem not in {row["processid"] for row in rest}
    assert Path(bad).name in caplog.text
    other = _load(broken, where=("processid", "!=", Path(bad).stem))
    assert by_id(other) == by_id(rest)


def test_an_image_that_stands_twice(broken: Path) -> None:
    whole = _load(broken)
    full = broken / "BIOSCAN_5M_cropped_256.zip"
    shutil.copy(broken / EVAL, full)
    assert _load(broken) == whole
    bad = _first(full, "val")
    _rezip(full, lambda name, data: [(name, data + b"more" if name == bad else data)])
    with pytest.raises(MismatchError, match="different bytes"):
        _load(broken)
    assert len(_load(broken, on_error="skip")) == len(whole) - 1


def test_an_image_without_a_record(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = _load(broken)
    one = _first(broken / EVAL, "val")
    extra = one.replace(Path(one).stem, "ORPHAN-01")
    _rezip(broken / EVAL, lambda n, d: [(n, d), (extra, d)] if n == one else [(n, d)])
    with caplog.at_level(logging.WARNING):
        assert _load(broken) == whole
    assert "ORPHAN-01" in caplog.text


def _rewrite(root: Path, change: Callable[[list[list[str]]], None]) -> None:
    with (root / CSV).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with (root / CSV).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def test_flawed_metadata(broken: Path, caplog: pytest.LogCaptureFixture) -> None:
    def twice(rows: list[list[str]]) -> None:
        rows.append(rows[3])

    count = len(_load(broken))
    _rewrite(broken, twice)
    with pytest.raises(MetadataError, match="stands already in row 4"):
        _load(broken)

    def wrong(rows: list[list[str]]) -> None:
        rows.pop()
        number = next(n for n, row in enumerate(rows) if row[rows[0].index("split")] == "val")
        rows[number][rows[0].index("coord-lat")] = "north"

    _rewrite(broken, wrong)
    with pytest.raises(MetadataError, match="coord-lat is not a number"):
        _load(broken)
    with caplog.at_level(logging.WARNING):
        assert len(_load(broken, on_error="skip")) == count - 1
    assert "coord-lat" in caplog.text


def test_a_changed_release_is_read_anew(broken: Path, tmp_path: Path) -> None:
    def change(rows: list[list[str]]) -> None:
        for row in rows[1:]:
            row[rows[0].index("country")] = "Elsewhere"

    for streaming in (True, False):
        before = load_dataset(broken, split="val", streaming=streaming, cache_dir=tmp_path / "c")
        assert {row["country"] for row in before.remove_columns("image")} != {"Elsewhere"}
    _rewrite(broken, change)
    for streaming in (True, False):
        after = load_dataset(broken, split="val", streaming=streaming, cache_dir=tmp_path / "c")
        assert {row["country"] for row in after.remove_columns("image")} == {"Elsewhere"}


def test_what_is_not_there(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseNotFound, match="no data of the split 'train'"):
        load_dataset(broken, split="seen", cache_dir=tmp_path / "c")
    with pytest.raises(ReleaseNotFound, match="no images of original_256"):
        load_dataset(broken, "original_256", cache_dir=tmp_path / "c")
    (broken / CSV).unlink()
    with pytest.raises(ReleaseNotFound, match="no metadata"):
        load_dataset(broken, cache_dir=tmp_path / "c")


def test_one_zip_of_a_release_is_read(broken: Path) -> None:
    assert _load(broken / EVAL) == _load(broken)
    with pytest.raises(ReleaseNotFound, match="neither a folder nor one of upstream's zips"):
        _load(broken / CSV)


@pytest.mark.parametrize("name", [EVAL.replace(".zip", " (1).zip"), f"{EVAL}.crdownload"])
def test_what_is_nearly_an_archive_is_told(
    name: str, broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (broken / EVAL).rename(broken / name)
    with pytest.raises(ReleaseNotFound, match="no images of BIOSCAN-5M") as caught:
        _load(broken)
    assert f"{name}: not read" in str(caught.value)
    shutil.copy(broken / name, broken / EVAL.replace("eval", "train"))
    with caplog.at_level(logging.WARNING), pytest.raises(ReleaseNotFound, match="validation"):
        _load(broken)
    assert f"{name}: not read" in caplog.text
