"""The order in which finished shards are sent, shown and freed, and what stops that."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bioscan5m_hf.errors import OutputError, VerificationFailed
from conversion.files.atomic import Written, digest_of
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Summary
from conversion.planning.tasks import ShardTask
from conversion.progress import SilentWatcher
from conversion.shards.build import ShardResult
from conversion.upload.scratch import Scratch
from conversion.upload.sender import FinishedShard, Sender
from tests.inline import without_processes


class Shelf(Sender):
    """Notes what it is asked for, in order; it can be held up, and can fail at a shard."""

    def __init__(self, folder: Path, limit: int, batch_bytes: int = 0) -> None:
        scratch = Scratch(folder, limit)
        self.told: list[str] = []
        super().__init__(folder, scratch, self.told.append, batch_bytes)
        self.digests: dict[str, str] = {}
        self.batches: list[list[str]] = []
        self.failure: BaseException | None = None
        self.fails_at = 1
        self.go_on = threading.Event()
        self.go_on.set()
        self._thread.start()

    @property
    def shown(self) -> list[str]:
        return [path for batch in self.batches for path in batch]

    def has(self, path: str, written: Written) -> bool:
        return self.digests.get(path) == written.xxh3

    def _begin(self) -> None: ...

    def _send(self, shard: FinishedShard) -> bool:
        assert self.go_on.wait(60)
        if len(self.digests) + 1 == self.fails_at and self.failure:
            raise self.failure
        self.digests[shard.path] = digest_of(shard.file).xxh3
        return True

    def _show(self, batch: Sequence[FinishedShard]) -> None:
        assert all(shard.file.exists() for shard in batch)
        assert not any((self._folder / path).exists() for path in self.shown)
        self.batches.append([shard.path for shard in batch])


@pytest.fixture(autouse=True)
def _inline() -> Iterator[None]:
    with without_processes():
        yield


def make(release: Path, shelf: Shelf) -> Summary:
    options = ConvertOptions(
        release, shelf._folder, 2, packages=("cropped_256",), shard_bytes=60_000
    )
    with shelf:
        return convert(options, SilentWatcher(), shelf)


@pytest.mark.parametrize("batch_bytes", [0, 100_000, 1 << 40])
def test_every_shard_is_sent_shown_and_freed(
    small_release: Path, tmp_path: Path, batch_bytes: int
) -> None:
    shelf = Shelf(tmp_path / "folder", 1 << 40, batch_bytes)
    manifest = make(small_release, shelf).manifest
    shards = {file.path: file for file in manifest.files() if file.path in shelf.digests}
    assert len(shards) == len(shelf.digests) > 5
    assert {path: file.xxh3 for path, file in shards.items()} == shelf.digests
    assert shelf.shown == list(shelf.digests)
    assert [text.partition(": sent")[0] for text in shelf.told] == shelf.shown
    assert list((tmp_path / "folder" / "cropped_256").glob("*.parquet")) == []
    for batch in shelf.batches[:-1]:
        sizes = [shards[path].bytes for path in batch]
        assert sum(sizes[:-1]) < batch_bytes or len(batch) == 1
        assert sum(sizes) >= batch_bytes


def test_a_batch_is_shown_where_its_room_is_awaited(release: Path, tmp_path: Path) -> None:
    options = ConvertOptions(
        release, tmp_path / "folder", 2, packages=("original_256",), shard_bytes=800_000
    )
    # Three shards and the pictures, of more than ten.
    shelf = Shelf(options.output, 13_000_000, 1 << 40)
    with shelf:
        convert(options, SilentWatcher(), shelf)
    assert len(shelf.batches) > 1
    assert len(shelf.shown) == len(shelf.digests) == len(set(shelf.shown))


FAILURES = [
    VerificationFailed("the shelf has other bytes"),
    OSError(5, "Input/output error"),
    ZeroDivisionError("nobody foresaw it"),
    SystemExit(3),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("fails_at", [1, 3])
def test_what_stops_the_thread_stops_the_conversion(
    small_release: Path, tmp_path: Path, failure: BaseException, fails_at: int
) -> None:
    shelf = Shelf(tmp_path / "folder", 1 << 40)
    shelf.failure, shelf.fails_at = failure, fails_at
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - which one is told below
        make(small_release, shelf)
    if isinstance(failure, OSError):
        assert isinstance(caught.value, OutputError)
        assert str(tmp_path / "folder") in str(caught.value)
        assert caught.value.__cause__ is failure
    else:
        assert caught.value is failure
    assert len(shelf.shown) == fails_at - 1
    assert not (tmp_path / "folder" / "manifest.json").exists()


def test_a_failure_of_the_last_shard_is_not_missed(small_release: Path, tmp_path: Path) -> None:
    count = len(make_all(small_release, tmp_path / "whole"))
    shelf = Shelf(tmp_path / "folder", 1 << 40)
    shelf.failure, shelf.fails_at = ZeroDivisionError("at last"), count
    with pytest.raises(ZeroDivisionError, match="at last"):
        make(small_release, shelf)
    assert len(shelf.shown) == count - 1


def make_all(release: Path, folder: Path) -> list[str]:
    shelf = Shelf(folder, 1 << 40)
    make(release, shelf)
    return shelf.shown


def test_nothing_more_is_sent_after_the_conversion_has_failed(
    small_release: Path, tmp_path: Path
) -> None:
    class Stopped(Shelf):
        def take(self, task: ShardTask, result: ShardResult) -> None:
            super().take(task, result)
            if self._queue.qsize() > 2:
                raise ZeroDivisionError

    shelf = Stopped(tmp_path / "folder", 1 << 40)
    shelf.go_on.clear()
    with pytest.raises(ZeroDivisionError):
        make(small_release, shelf)
    shelf.go_on.set()
    shelf._thread.join(60)
    assert not shelf._thread.is_alive()
    # What was under way came to its end; the rest is on the disk.
    assert len(shelf.digests) <= 1
    assert len(list((tmp_path / "folder" / "cropped_256").glob("*.parquet"))) > 1


def test_another_conversion_waits_for_what_a_failed_one_is_sending(tmp_path: Path) -> None:
    class Held(Shelf):
        reached = threading.Event()

        def _send(self, shard: FinishedShard) -> bool:
            self.reached.set()
            return super()._send(shard)

    (tmp_path / "a").write_bytes(b"shard")
    first = Held(tmp_path / "first", 1 << 40)
    first.go_on.clear()

    def interrupted() -> None:
        with first:
            shard = tmp_path / "a"
            first._queue.put(FinishedShard("a", shard, digest_of(shard), "receipt"))
            assert first.reached.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    second = Shelf(tmp_path / "second", 1 << 40)
    entered = threading.Event()

    def enter() -> None:
        with second:
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.3)
    first.go_on.set()
    assert entered.wait(60)
    thread.join(60)
    assert first.shown == ["a"]
    assert not first._thread.is_alive()
