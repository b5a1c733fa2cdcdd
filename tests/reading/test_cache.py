"""A cache that cannot be written to, whoever writes: one line that says so and names another."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import get, labels, load_dataset
from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.sources.cache import made_once
from tests.limits import files_of_at_most
from tests.reading.conftest import plain

Use = Callable[[Path, Path], Any]


def _load(root: Path, cache: Path) -> Any:
    return plain(load_dataset(root, split="pretrain", cache_dir=cache))


def _load_by_two(root: Path, cache: Path) -> Any:
    return plain(load_dataset(root, split="pretrain", cache_dir=cache, num_proc=2))


def _stream(root: Path, cache: Path) -> Any:
    return plain(load_dataset(root, split="pretrain", cache_dir=cache, streaming=True))


def _labels(root: Path, cache: Path) -> Any:
    return labels(root, "species", cache_dir=cache)


def _get(root: Path, cache: Path) -> Any:
    return get(root, "GMGMB061-20", cache_dir=cache)


def _is_told(error: pytest.ExceptionInfo[OutputError], cache: Path) -> None:
    told = str(error.value)
    assert told.startswith(str(cache))
    assert "the cache cannot be written to" in told
    assert "HF_DATASETS_CACHE" in told
    assert "\n" not in told


@pytest.mark.parametrize("use", [_load, _load_by_two, _stream, _labels])
@pytest.mark.parametrize("limit", [0, 300, 20_000])
def test_a_disk_that_is_full_while_a_raw_release_is_read(
    use: Use, limit: int, small_release: Path, tmp_path: Path
) -> None:
    with files_of_at_most(limit), pytest.raises(OutputError) as error:
        use(small_release, tmp_path / "cache")
    _is_told(error, tmp_path / "cache")


@pytest.mark.parametrize("use", [_load, _load_by_two])
def test_a_disk_that_is_full_while_rows_are_prepared(use: Use, forms: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with files_of_at_most(5_000), pytest.raises(OutputError) as error:
        use(forms / "webdataset", cache)
    _is_told(error, cache)
    assert use(forms / "webdataset", cache), "once there is room"


@pytest.mark.parametrize("use", [_load, _stream, _labels, _get])
def test_a_cache_that_is_no_folder(use: Use, small_release: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file")
    with pytest.raises(OutputError) as error:
        use(small_release, cache)
    _is_told(error, cache)


@pytest.mark.parametrize("form", ["parquet", "arrow", "webdataset"])
def test_a_converted_folder_is_streamed_without_a_cache(
    form: str, forms: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.write_text("a file")
    streamed = load_dataset(
        forms / form, split="val+test", class_labels=["order"], streaming=True, cache_dir=cache
    )
    prepared = load_dataset(forms / form, split="val+test", cache_dir=tmp_path / "other")
    assert [row["processid"] for row in streamed] == list(prepared["processid"])
    assert cache.read_text() == "a file"


def test_arrow_shards_whose_links_have_no_room(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", no_room)
    with pytest.raises(OutputError, match="make room on its disk, or name another") as error:
        _load(forms / "arrow", tmp_path / "cache")
    _is_told(error, tmp_path / "cache")


def test_rows_in_the_cache_need_no_room(small_release: Path, tmp_path: Path) -> None:
    first = _load(small_release, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache" / "bioscan5m_index")
    with files_of_at_most(0):
        assert _load(small_release, tmp_path / "cache") == first


KILLED = """
import os, signal, sys
from pathlib import Path
from bioscan5m_hf.sources.cache import made_once

def write(work):
    (work / "rows.arrow").write_bytes(b"much")
    os.kill(os.getpid(), signal.SIGKILL)

made_once(Path(sys.argv[1]), write)
"""


def test_what_killed_processes_left_is_removed_with_the_next_index(tmp_path: Path) -> None:
    for name in ("metadata-a", "metadata-a", "metadata-b"):
        words = [sys.executable, "-c", KILLED, str(tmp_path / "cache" / name)]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
        assert len([*(tmp_path / "cache").iterdir()]) == 1
    folder = tmp_path / "cache" / "metadata-b"
    assert made_once(folder, lambda work: (work / "rows.arrow").touch()) == folder
    assert [*(tmp_path / "cache").iterdir()] == [folder]
    assert [*folder.iterdir()] == [folder / "rows.arrow"]
