"""What a store or a server may say: nothing of it leads out of the folder that it is put in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest

from bioscan5m_hf.errors import ForeignFolder, OutputError
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME
from bioscan5m_hf.storage.path import RemotePath
from conversion.folder.manifest import ShardFile
from conversion.upload.copies import of_shard, without_shards
from conversion.upload.stores import Store, fetch
from conversion.verify.shard import check_bytes

ROOT = RemotePath("memory://hostile/out")


@pytest.fixture(autouse=True)
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    yield system
    if system.exists("/hostile"):
        system.rm("/hostile", recursive=True)


@pytest.mark.parametrize("name", ["../planted", "a/../../planted", "/etc/planted", "a\nb"])
def test_keys_that_lead_out(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    listed = {f"/out/{name}": {"size": 5}, "/out/manifest.json": {"size": 5}}
    system = SimpleNamespace(invalidate_cache=lambda: None, find=lambda *_, **__: listed)
    monkeypatch.setattr("conversion.upload.stores.file_system", lambda _: (system, "/out"))
    with pytest.raises(ForeignFolder, match="does not stay in its folder"):
        Store(ROOT).files()


def test_hidden_keys_are_ours(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/hostile/out/.bioscan5m/begun", b"begun")
    assert Store(ROOT).files() == {".bioscan5m/begun": 5}


def test_no_more_is_fetched_than_the_manifest_says(memory: fsspec.AbstractFileSystem) -> None:
    path = "cropped_256/train-00000-of-00001.parquet"
    memory.pipe(f"/hostile/out/{path}", bytes(10_000_000))
    file = ShardFile(path, 1, 1000, "0" * 32)
    with of_shard(str(ROOT), file) as folder:
        assert (folder / path).stat().st_size == 1001
        assert check_bytes(folder, file) == f"{path}: has more bytes than the 1,000 of the manifest"


def test_an_endless_manifest(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe(f"/hostile/out/{MANIFEST_NAME}", bytes(MANIFEST_BYTES + 9))
    with pytest.raises(ForeignFolder, match="more than"), without_shards(ROOT):
        pass


def test_what_has_no_room_is_not_fetched(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/hostile/out/a", bytes(100))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=99))
    with pytest.raises(OutputError, match="has 100 bytes, and there is room for 99"):
        fetch(ROOT / "a", tmp_path / "a")
    assert not (tmp_path / "a").exists()
