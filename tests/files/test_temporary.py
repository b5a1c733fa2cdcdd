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
