"""Releases and dataset folders in the memory of this process, and what drivers complain of."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import fsspec
import pytest

from bioscan5m_hf.errors import ArchiveError, BioscanError, ForeignFolder, OutputError, UsageError
from bioscan5m_hf.storage.fsspec import explained, is_passing
from bioscan5m_hf.storage.path import RemotePath
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.planning.tasks import ShardTask
from conversion.progress import SilentWatcher
from conversion.shards.build import ShardResult
from conversion.upload.scratch import Scratch
from conversion.upload.sending import Sending, convert_to_url
from conversion.upload.stores import Store
from conversion.verify.folder import VerifyOptions, verify
from tests.inline import without_processes
from tests.processes import digests

RAW = RemotePath("memory://raw")


@pytest.fixture(scope="module")
def raw(small_release: Path) -> RemotePath:
    memory = fsspec.filesystem("memory")
    for path in small_release.rglob("*"):
        if path.is_file():
            name = path.relative_to(small_release).as_posix()
            memory.pipe_file(f"/raw/{name}", path.read_bytes())
    return RAW


def options(release: Path | RemotePath, output: Path) -> ConvertOptions:
    return ConvertOptions(release, output, 2, packages=("cropped_256",), shard_bytes=60_000)


def test_from_memory_to_memory(raw: RemotePath, small_release: Path, tmp_path: Path) -> None:
    convert(options(small_release, tmp_path / "whole"), SilentWatcher())
    whole = digests(tmp_path / "whole")
    convert(options(raw, tmp_path / "from"), SilentWatcher())
    assert digests(tmp_path / "from") == whole
    made = RemotePath("memory://made")
    summary = convert_to_url(options(raw, Path()), made, SilentWatcher())
    assert summary.made > 3
    memory = fsspec.filesystem("memory")
    held = {
        name.removeprefix("/made/"): hashlib.sha256(memory.cat_file(name)).hexdigest()
        for name in memory.find("/made")
    }
    assert held == whole
    assert verify(VerifyOptions(made, 2, release=raw))[1] == []
    shard = next(name for name in held if name.startswith("cropped_256/"))
    memory.pipe_file(f"/made/{shard}", b"other bytes")
    (finding,) = [text for text in verify(VerifyOptions(made, 2))[1] if text.startswith(shard)]
    assert "has 11 bytes" in finding
    # The length tells: this shard is made again, and no other.
    again = convert_to_url(options(raw, Path()), made, SilentWatcher())
    assert 0 < again.made < summary.made
    assert verify(VerifyOptions(made, 2))[1] == []


def test_a_foreign_folder_is_left_alone(raw: RemotePath) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/foreign/theirs.txt", b"theirs")
    with pytest.raises(ForeignFolder, match=r"memory://foreign: .*theirs\.txt"):
        convert_to_url(options(raw, Path()), RemotePath("memory://foreign"), SilentWatcher())
    assert memory.find("/foreign") == ["/foreign/theirs.txt"]
    with pytest.raises(OutputError, match="within each other"):
        convert_to_url(options(raw, Path()), raw / "out", SilentWatcher())


class Answer:
    status_code = 403


class DriverError(Exception):
    response = Answer()


class EndpointConnectionError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "told", "passing"),
    [
        (FileNotFoundError("the bucket"), "nothing is at this address: the bucket", False),
        (PermissionError("not yours"), "access is refused: not yours); check that your", False),
        (DriverError("Forbidden"), "access is refused: Forbidden)", False),
        (EndpointConnectionError("no host"), "no answer: no host); check the address", True),
        (TimeoutError(), "no answer: TimeoutError", True),
        (ValueError("odd\nand long"), "cannot be read (odd and long)", True),
    ],
)
def test_what_drivers_complain_of(error: Exception, told: str, passing: bool) -> None:
    with (
        pytest.raises(ArchiveError) as caught,
        explained(RemotePath("s3://bucket/file"), "cannot be read", ArchiveError),
    ):
        raise error
    assert told in str(caught.value)
    assert caught.value.__cause__ is error
    assert is_passing(caught.value) == passing


def test_our_own_errors_pass_unchanged() -> None:
    with (
        pytest.raises(BioscanError) as caught,
        explained(RemotePath("s3://x"), "cannot be read", ArchiveError),
    ):
        raise ForeignFolder("ours")
    assert type(caught.value) is ForeignFolder


class Failing(SilentWatcher):
    """A reporter that fails when the first shard was sent, for a reason that nobody foresaw."""

    def say(self, text: str) -> None:
        if ": sent" in text:
            raise ZeroDivisionError(text)


@pytest.mark.parametrize("room", ["ample", "scarce"])
def test_what_nobody_foresaw_in_the_sending_stops_the_conversion(release: Path, room: str) -> None:
    packages = ("original_256", "cropped_256")
    asked = ConvertOptions(release, Path(), 2, packages=packages, shard_bytes=800_000)
    url, scratch = RemotePath(f"memory://failing-{room}"), 1 << 40
    if room == "scarce":
        # Where nothing is freed, it is full before all shards are made.
        with without_processes(), pytest.raises(UsageError) as refused:
            convert_to_url(asked, url, SilentWatcher(), scratch=10_000)
        scratch = int(str(refused.value).partition("--scratch ")[2].partition("MB")[0]) * 10**6
    ended: Future[object] = Future()

    def work() -> None:
        try:
            ended.set_result(convert_to_url(asked, url, Failing(), scratch=scratch))
        except Exception as error:  # noqa: BLE001 - a future holds whatever comes
            ended.set_exception(error)

    with without_processes():
        # Beside the test, which fails instead of waiting with it.
        threading.Thread(target=work, daemon=True).start()
        assert isinstance(ended.exception(60), ZeroDivisionError)


class Late(Sending):
    """Is stopped by its first shard, and begins to send it only after that."""

    go_on = threading.Event()
    sent = threading.Event()

    def take(self, task: ShardTask, result: ShardResult) -> None:
        super().take(task, result)
        raise BioscanError("stopped")

    def _send(self, shard: Any) -> Any:
        assert self.go_on.wait(60)
        sent = super()._send(shard)
        self.sent.set()
        return sent


def test_a_store_keeps_its_mark_where_a_shard_may_still_come(
    small_release: Path, tmp_path: Path
) -> None:
    store, asked = Store(RemotePath("memory://late")), options(small_release, tmp_path / "folder")
    asked.output.mkdir()

    def convert_late() -> None:
        scratch = Scratch(asked.output, None, shards=9)
        with Late(store, asked.output, scratch, SilentWatcher()) as late:
            late.prepare()
            convert(asked, SilentWatcher(), late)

    with without_processes(), pytest.raises(BioscanError, match="stopped"):
        convert_late()
    held = store.files()
    Late.go_on.set()
    assert Late.sent.wait(60)
    # Who finds a shard without it takes the folder for somebody else's.
    assert list(held) == [".bioscan5m/begun"]
