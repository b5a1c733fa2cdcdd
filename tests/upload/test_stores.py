"""What a store shows is held against what was sent."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from bioscan5m_hf.errors import ArchiveError, OutputError
from bioscan5m_hf.storage.path import RemotePath
from conversion.files.atomic import digest_of
from conversion.upload.stores import Store, fetch


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789")
    return path


@pytest.mark.parametrize("kept", [b"01234", b"0123456780", b"0123456789more"])
def test_other_bytes_than_were_sent_are_told(
    kept: bytes, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(type(memory), "put_file", lambda _, __, to: memory.pipe_file(to, kept))
    store = Store(RemotePath("memory://other-bytes"))
    with pytest.raises(OutputError, match="different bytes than were sent"):
        store.put("a.bin", source, digest_of(source))


def test_what_was_sent_is_there_until_it_is_removed(source: Path, tmp_path: Path) -> None:
    store = Store(RemotePath("memory://kept"))
    store.put("folder/a.bin", source, digest_of(source))
    assert store.files() == {"folder/a.bin": 10}
    fetch(store.root / "folder/a.bin", tmp_path / "back" / "a.bin")
    assert (tmp_path / "back" / "a.bin").read_bytes() == source.read_bytes()
    for _ in range(2):
        store.remove("folder/a.bin")
        assert store.files() == {}
    with pytest.raises(ArchiveError, match="nothing is at this address"):
        fetch(store.root / "folder/a.bin", tmp_path / "gone")
