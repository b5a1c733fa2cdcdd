"""A local file that several may close: its number may be another file's by then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.local import LocalFile


def test_a_file_that_is_closed_twice_closes_no_other_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    source = LocalFile(path)
    source.close()
    reading, writing = os.pipe()
    try:
        source.close()
        os.write(writing, b"x")
        assert os.read(reading, 1) == b"x"
    finally:
        os.close(reading)
        os.close(writing)


def test_nothing_is_read_from_what_has_the_number_of_a_closed_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"abc")
    other.write_bytes(b"secret")
    source = LocalFile(path)
    source.close()
    with LocalFile(other) as held, pytest.raises(ArchiveError, match="Bad file descriptor"):
        source.read_at(0, held.size)


def test_what_a_clone_without_lfs_has_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "train-00000-of-00001.parquet"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    path.write_bytes(pointer)
    with pytest.raises(ArchiveError, match=r"parquet: is what Git LFS keeps .*; .*: git lfs pull"):
        LocalFile(path)
    path.write_bytes(pointer.ljust(2000))
    with LocalFile(path) as source:
        assert source.size == 2000
