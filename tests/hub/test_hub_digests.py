"""The digests by which the Hub knows files: taken once, kept, and never believed of other bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bioscan5m_hf.sources.manifest import STATE_FOLDER
from conversion.files.atomic import digest_of
from conversion.folder.state import KEPT_NAME, open_state
from conversion.upload.hub_digests import HubDigests

DATA = b"some shard" * 200_000


def shard(folder: Path) -> Path:
    path = folder / "cropped_256" / "train-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return path


def test_both_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    path = shard(tmp_path)
    expected = hashlib.sha256(DATA).hexdigest()
    assert HubDigests(tmp_path).take(path) == (digest_of(path), expected)


def test_what_was_taken_is_known_when_the_file_is_gone(tmp_path: Path) -> None:
    path = shard(tmp_path)
    written = digest_of(path)
    assert HubDigests(tmp_path).known(written) is None
    sha256 = HubDigests(tmp_path).of(path, written)
    path.unlink()
    again = HubDigests(tmp_path)
    assert again.known(written) == again.of(path, written) == sha256 is not None


def test_other_bytes_are_not_taken_for_it(tmp_path: Path) -> None:
    path = shard(tmp_path)
    written = digest_of(path)
    path.write_bytes(DATA[::-1])
    assert HubDigests(tmp_path).of(path, written) is None
    assert HubDigests(tmp_path).known(written) is None
    path.unlink()
    assert HubDigests(tmp_path).of(path, written) is None


def test_two_publications_at_a_time_lose_nothing(tmp_path: Path) -> None:
    path = shard(tmp_path)
    one, other = HubDigests(tmp_path), HubDigests(tmp_path)
    first, _ = one.take(path)
    path.write_bytes(DATA[::-1])
    second, _ = other.take(path)
    again = HubDigests(tmp_path)
    assert again.known(first)
    assert again.known(second)


@pytest.mark.parametrize("damaged", [b"[" * 100_000, b"{", b"[]", b'{"1-ab": "cd"}'])
def test_a_damaged_file_is_passed_over(damaged: bytes, tmp_path: Path) -> None:
    kept = tmp_path / STATE_FOLDER / KEPT_NAME
    kept.parent.mkdir()
    kept.write_bytes(damaged)
    path = shard(tmp_path)
    assert HubDigests(tmp_path).known(digest_of(path)) is None


def test_it_outlasts_a_conversion(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with open_state(folder):
        HubDigests(folder).take(shard(folder))
        (folder / "manifest.json").write_text("{}")
    hidden = folder / STATE_FOLDER
    assert [path.name for path in hidden.iterdir()] == [KEPT_NAME]
    with open_state(folder):
        assert (hidden / "lock").exists()
    assert [path.name for path in hidden.iterdir()] == [KEPT_NAME]


def test_a_folder_that_cannot_be_written_is_read_each_time(tmp_path: Path) -> None:
    path = shard(tmp_path)
    # In the place of the folder, so that even root cannot write there.
    (tmp_path / STATE_FOLDER).write_text("")
    assert HubDigests(tmp_path).take(path)[0] == digest_of(path)
    assert HubDigests(tmp_path).known(digest_of(path)) is None
