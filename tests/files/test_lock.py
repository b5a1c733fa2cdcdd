"""Locks that others look for between the opening of a file and its locking."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bioscan5m_hf.errors import FolderInUse
from bioscan5m_hf.files.lock import alone, make_locked, open_locked, open_made
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.storage.inside import open_own
from conversion.download.partial import Expected, Partial

Before = Callable[[Callable[[], object]], None]


@pytest.fixture
def before_lock(monkeypatch: pytest.MonkeyPatch) -> Before:
    """What another process does just before the next lock is taken."""
    real = fcntl.flock

    def let(other: Callable[[], object]) -> None:
        def flock(descriptor: int, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", real)
            other()
            real(descriptor, how)

        monkeypatch.setattr(fcntl, "flock", flock)

    return let


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_no_other_run_clears_a_folder_that_is_being_made(room: Path, before_lock: Before) -> None:
    def other() -> None:
        with temporary_folder():
            pass

    before_lock(other)
    with temporary_folder() as folder:
        (folder / "shard").write_bytes(b"much")
        other()
        assert (folder / "shard").read_bytes() == b"much"
    assert not list(room.iterdir())


def test_many_folders_at_once(room: Path) -> None:
    def one(number: int) -> bytes:
        with temporary_folder() as folder:
            (folder / "shard").write_bytes(b"%d" % number)
            return (folder / "shard").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(400))) == [b"%d" % number for number in range(400)]
    assert not list(room.iterdir())


def test_a_file_that_is_finished_meanwhile_is_not_begun_anew(
    tmp_path: Path, before_lock: Before
) -> None:
    whole = tmp_path / "images.zip"
    part = tmp_path / "images.zip.part"
    part.write_bytes(b"whole")
    before_lock(lambda: part.rename(whole))
    with Partial(tmp_path, whole, "https://example.org", Expected(5)) as begun:
        begun.take_up(lambda _: None, lambda: None)
        begun.write(b"other")
        assert whole.read_bytes() == b"whole"
        assert part.read_bytes() == b"other"
        with pytest.raises(FolderInUse, match="another process is fetching"):
            Partial(tmp_path, whole, "https://example.org", Expected(5))


@pytest.mark.parametrize("made_again", [True, False])
def test_a_lock_that_was_taken_away_bars_nobody(
    tmp_path: Path, before_lock: Before, made_again: bool
) -> None:
    path = tmp_path / "lock"

    def other() -> None:
        path.unlink()
        if made_again:
            path.touch()

    before_lock(other)
    descriptor, missing = open_locked(path, lambda: open_own(path))
    try:
        assert missing is None
        assert os.path.samestat(path.stat(), os.fstat(descriptor))
        with pytest.raises(BlockingIOError):
            open_locked(path, lambda: open_own(path))
    finally:
        os.close(descriptor)


def test_nothing_that_is_there_is_replaced_while_it_is_locked(tmp_path: Path) -> None:
    (tmp_path / "lock.new").write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        make_locked(tmp_path / "lock")
    assert (tmp_path / "lock.new").read_bytes() == b"theirs"


def test_a_folder_that_is_removed_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []

    def other(path: Path) -> int:
        if len(removed) < 3:
            path.parent.rmdir()
            removed.append(path)
        return open_own(path)

    monkeypatch.setattr("bioscan5m_hf.files.lock.open_own", other)
    os.close(open_made(tmp_path / "parts" / "a.zip.part"))
    assert len(removed) == 3
    assert (tmp_path / "parts" / "a.zip.part").exists()


def test_one_after_the_other(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")

    def one(_: int) -> None:
        with alone(tmp_path / "lock"):
            before = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(before + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(80)))
    assert count.read_text() == "80"


def test_where_there_are_no_locks_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with alone(tmp_path / "lock"):
        pass
