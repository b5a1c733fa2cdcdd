"""Large files reach the disk as they were written, past the cache or through it."""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversion.files import work_file
from conversion.files.work_file import LargeFile

CACHED, BUFFER = 16 << 10, 8 << 10


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts in megabytes counts in kilobytes."""
    monkeypatch.setattr(work_file, "_CACHED_BYTES", CACHED)
    monkeypatch.setattr(work_file, "_BUFFER_BYTES", BUFFER)


@pytest.fixture
def straight(tmp_path: Path) -> Path:
    """A folder on a disk that is written to past the cache."""
    path = tmp_path / "probe"
    with path.open("wb") as file:
        if not work_file._goes_straight(file.fileno()):
            pytest.skip("the file system of temporary files has no other way than its cache")
    path.unlink()
    return tmp_path


def write(path: Path, parts: list[bytes]) -> None:
    file = LargeFile(path)
    try:
        for part in parts:
            assert file.write(part) == len(part)
        file.finish()
    finally:
        file.close()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "write" in thread.name]


@given(lengths=st.lists(st.integers(0, 3 * CACHED), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_was_written_is_there(lengths: list[int], tmp_path: Path) -> None:
    parts = [os.urandom(length) for length in lengths]
    write(tmp_path / "a", parts)
    assert (tmp_path / "a").read_bytes() == b"".join(parts)
    assert not threads()


@pytest.mark.parametrize("more", [0, 1, 4095, 4096, BUFFER, BUFFER + 1])
def test_around_the_end_of_a_buffer(more: int, straight: Path) -> None:
    data = os.urandom(CACHED + 3 * BUFFER + more)
    write(straight / "a", [data])
    assert (straight / "a").read_bytes() == data


def cached(path: Path, place: int) -> bool:
    if sys.platform != "linux":
        pytest.skip("only Linux tells what is cached")
    with path.open("rb", buffering=0) as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], place, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False
        except OSError as error:
            pytest.skip(f"the file system does not tell what is cached ({error.strerror})")


def test_what_is_large_leaves_the_cache_alone(straight: Path) -> None:
    length = 1 << 20
    write(straight / "a", [os.urandom(length)])
    assert cached(straight / "a", 0)
    # Around the end of the part that is, the system may read ahead.
    assert not cached(straight / "a", length // 2)


def test_a_file_system_without_a_device_goes_through_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "major", lambda _device: 0)
    data = os.urandom(CACHED + 3 * BUFFER)
    write(tmp_path / "a", [data[:100], data[100:]])
    assert (tmp_path / "a").read_bytes() == data
    assert cached(tmp_path / "a", len(data) - 1)


def test_a_file_system_that_refuses_to_be_written_straight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(_descriptor: int, command: int, _flags: int = 0) -> int:
        if command == fcntl.F_SETFL:
            raise OSError(errno.EINVAL, "Invalid argument")
        return 0

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    data = os.urandom(CACHED + 3 * BUFFER)
    write(tmp_path / "a", [data])
    assert (tmp_path / "a").read_bytes() == data


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_disk_with_larger_sectors(
    first: int, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, calls = os.pwrite, 0

    def picky(descriptor: int, data: memoryview, position: int) -> int:
        nonlocal calls
        calls += 1
        if calls == first + 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        return pwrite(descriptor, data, position)

    monkeypatch.setattr(os, "pwrite", picky)
    data = os.urandom(CACHED + 4 * BUFFER + 10)
    write(straight / "a", [data])
    assert (straight / "a").read_bytes() == data
    assert calls > first + 1


@pytest.mark.parametrize("step", [4096, 1000])
def test_a_disk_that_takes_less_than_it_is_given(
    step: int, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, place: pwrite(file, data[:step], place))
    data = os.urandom(CACHED + 4 * BUFFER + 10)
    write(straight / "a", [data])
    assert (straight / "a").read_bytes() == data


@pytest.mark.parametrize("buffers", [1, 10])
def test_a_disk_that_is_full_is_told(
    buffers: int, straight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: memoryview, _position: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        write(straight / "a", [os.urandom(CACHED), *[os.urandom(BUFFER)] * buffers])
    assert not threads()


def test_what_nobody_foresaw_is_no_loss(straight: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int, _data: memoryview, _position: int) -> int:
        raise MemoryError

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(MemoryError):
        write(straight / "a", [os.urandom(CACHED), *[os.urandom(BUFFER)] * 10])
    assert not threads()


def test_what_is_given_up_leaves_no_thread(straight: Path) -> None:
    file = LargeFile(straight / "a")
    file.write(os.urandom(CACHED + 5 * BUFFER + 1))
    assert threads()
    file.close()
    assert not threads()
