"""Files are there whole under their final name, or not at all, whatever the disk does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xxhash import xxh3_128

from bioscan5m_hf.errors import OutputError
from conversion.files.atomic import (
    AtomicFile,
    Written,
    digest_of,
    partial_path,
    remove_partials,
    require_apart,
    write_together,
    write_whole,
    written_as,
)


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "a.parquet"
    with AtomicFile(path) as file:
        assert file.write(b"abc") == 3
        assert file.write(memoryview(b"defg")[1:]) == 3
        assert file.tell() == 6
        assert not path.exists()
        [partial] = path.parent.iterdir()
        assert partial.name.startswith(".")
        assert not list(path.parent.glob("*.parquet"))
        written = file.commit()
    assert path.read_bytes() == b"abcefg"
    assert written == Written(6, xxh3_128(b"abcefg").hexdigest()) == digest_of(path)
    assert everything(path.parent) == ["a.parquet"]


def test_leaving_the_block_is_enough(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
    assert everything(tmp_path) == ["a"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OutputError])
def test_nothing_is_left_after_an_error(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"before")

    def fail() -> None:
        with AtomicFile(tmp_path / "a") as file:
            file.write(b"half")
            raise error("so")

    with pytest.raises(error):
        fail()
    assert (tmp_path / "a").read_bytes() == b"before"
    assert everything(tmp_path) == ["a"]


def test_what_a_library_closes_is_not_taken_for_whole(tmp_path: Path) -> None:
    file = AtomicFile(tmp_path / "a")
    file.write(b"half")
    file.close()
    assert not (tmp_path / "a").exists()
    file.discard()
    assert everything(tmp_path) == []


def test_nothing_is_left_where_the_name_is_taken_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot be written"), AtomicFile(tmp_path / "a") as file:
        file.write(b"x")
    assert everything(tmp_path) == ["a"]
    with pytest.raises(OutputError, match="cannot be written"):
        write_whole(tmp_path / "a", b"x")
    assert everything(tmp_path) == ["a"]


def test_where_no_file_can_be_made_the_error_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a", Path("/proc/nothing/a"), tmp_path / ("n" * 300)):
        with pytest.raises(OutputError, match="cannot be written"):
            AtomicFile(path)


def test_what_is_handed_over_appears_when_it_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with AtomicFile(path) as file:
        file.write(b"abc")
        unseen = file.hand_over()
    assert not path.exists()
    assert unseen.settle() == unseen.written == digest_of(path)
    assert everything(tmp_path) == ["a"]


def test_what_is_handed_over_and_not_wanted_leaves_nothing(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        unseen = file.hand_over()
    unseen.discard()
    assert everything(tmp_path) == []
    with pytest.raises(OutputError, match="a: cannot be written"):
        unseen.settle()


def test_what_is_handed_over_for_a_name_that_is_taken_leaves_nothing(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as file:
        unseen = file.hand_over()
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="a: cannot be written"):
        unseen.settle()
    assert everything(tmp_path) == ["a"]


def test_files_that_are_written_together(tmp_path: Path) -> None:
    files = {tmp_path / f"{number}" / "a": b"%d" % number for number in range(20)}
    write_together(files)
    assert {path: path.read_bytes() for path in files} == files
    assert [written_as(data) for data in files.values()] == [digest_of(path) for path in files]
    assert len(everything(tmp_path)) == 2 * len(files)


def test_one_of_several_files_that_cannot_be_written_leaves_nothing_half_made(
    tmp_path: Path,
) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match="b: cannot be written"):
        write_together({tmp_path / name: b"x" for name in "abc"})
    assert everything(tmp_path) == ["a", "b"]
    with pytest.raises(OutputError, match="a/a: cannot be written"):
        write_together({tmp_path / "c": b"x", tmp_path / "a" / "a": b"x"})
    assert everything(tmp_path) == ["a", "b"]


def test_files_that_do_not_reach_the_disk_together_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "bad disk")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="cannot be written"):
        write_together({tmp_path / name: b"x" for name in "abc"})
    assert everything(tmp_path) == []


@pytest.mark.parametrize("moment", ["fsync", "close"])
def test_what_is_interrupted_while_it_appears_leaves_nothing(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with AtomicFile(tmp_path / "a") as file:
        unseen = file.hand_over()

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, moment, interrupt)
    with pytest.raises(KeyboardInterrupt):
        unseen.settle()
    assert everything(tmp_path) == []


def test_what_is_interrupted_while_it_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def interrupted(path: Path, *given: Any, **named: Any) -> None:
        opened(path, *given, **named).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        AtomicFile(tmp_path / "a")
    assert everything(tmp_path) == []


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    with AtomicFile(tmp_path / "a") as late:
        late.write(b"la")
        assert write_whole(tmp_path / "a", b"early").bytes == 5
        late.write(b"te")
    assert (tmp_path / "a").read_bytes() == b"late"
    assert everything(tmp_path) == ["a"]


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    killed = (partial_path(Path(name)) for name in ("a", "train/b"))
    for name in (*map(str, killed), "train/c.parquet", ".keep", ".thesis.tex.partial"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    remove_partials(tmp_path)
    assert everything(tmp_path) == [".keep", ".thesis.tex.partial", "c.parquet", "train"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    done = subprocess.run(mount, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_of_and_nothing_is_left(small_disk: Path) -> None:
    with pytest.raises(OutputError, match=r"no space left on the disk; make room and run"):
        write_whole(small_disk / "a", bytes(3 << 20))

    def fill() -> None:
        with AtomicFile(small_disk / "a") as file:
            for _ in range(300):
                file.write(bytes(5000))

    with pytest.raises(OutputError, match="no space left"):
        fill()
    assert everything(small_disk) == []
    write_whole(small_disk / "a", bytes(1 << 19))
    assert everything(small_disk) == ["a"]


def test_a_limit_on_files_is_told_of_and_nothing_is_left(tmp_path: Path) -> None:
    program = f"""
import resource
from pathlib import Path
from bioscan5m_hf.errors import OutputError
from conversion.files.atomic import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
folder = Path({str(tmp_path)!r})
write_whole(folder / "small", bytes(10_000))
try:
    write_whole(folder / "large", bytes(10_001))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert "large: cannot be written (File too large)" in done.stdout
    assert everything(tmp_path) == ["small"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_whole(tmp_path / "a", b"x")
    tmp_path.chmod(0o700)


@given(lengths=st.lists(st.integers(0, 3 << 20), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_lengths(lengths: list[int], tmp_path: Path) -> None:
    parts = [os.urandom(length) for length in lengths]
    with AtomicFile(tmp_path / "a") as file:
        for part in parts:
            assert file.write(part) == len(part)
        written = file.commit()
    assert (tmp_path / "a").read_bytes() == b"".join(parts)
    assert written == digest_of(tmp_path / "a")


def test_the_root_of_the_system_holds_every_folder(tmp_path: Path) -> None:
    for release, output in ((Path("/"), tmp_path), (tmp_path, Path("/")), (tmp_path, tmp_path)):
        with pytest.raises(OutputError, match="within each other"):
            require_apart(release, output)
    require_apart(tmp_path / "release", tmp_path / "release-2")
