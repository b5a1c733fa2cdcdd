"""Temporary folders of runs that were killed, and of runs that live."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bioscan5m_hf.files.temporary import temporary_folder

HELD = """
import sys, time
from bioscan5m_hf.files.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "shard").write_bytes(b"much")
    print(folder, flush=True)
    time.sleep(600)
"""


KILLED_AT_THE_END = """
import os, signal
from bioscan5m_hf.files.temporary import temporary_folder
real, removed = os.unlink, []
def unlink(*given, **named):
    removed.append(given)
    if len(removed) == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*given, **named)
with temporary_folder() as folder:
    for number in range(50):
        (folder / str(number)).touch()
    print(folder, flush=True)
    os.unlink = unlink
"""


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_is_removed_at_the_end(room: Path) -> None:
    with temporary_folder() as folder:
        assert folder.parent == room
        (folder / "a").write_bytes(b"")
    assert not list(room.iterdir())


def test_what_killed_runs_left_is_cleared_and_nothing_else(room: Path) -> None:
    (room / "others").mkdir()
    (room / "bioscan5m-run-notes").mkdir()
    (room / "bioscan5m-run-link").symlink_to(room / "others")
    running = subprocess.Popen(
        [sys.executable, "-c", HELD], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout
    with running, running.stdout:
        held = Path(running.stdout.readline().strip())
        with temporary_folder():
            assert (held / "shard").read_bytes() == b"much"
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert (held / "shard").exists()
    with temporary_folder():
        assert not held.exists()
    kept = {"others", "bioscan5m-run-notes", "bioscan5m-run-link"}
    assert {path.name for path in room.iterdir()} == kept


def test_what_is_killed_while_it_is_removed_is_removed_later(room: Path) -> None:
    words = [sys.executable, "-c", KILLED_AT_THE_END]
    killed = subprocess.run(words, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL
    left = Path(killed.stdout.strip())
    assert len([*left.iterdir()]) == 2
    with temporary_folder():
        assert not left.exists()
    assert not list(room.iterdir())


def test_beside_what_is_written_it_is_hidden(tmp_path: Path) -> None:
    with temporary_folder(tmp_path) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(".")
    assert not list(tmp_path.iterdir())
