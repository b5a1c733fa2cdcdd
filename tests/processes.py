"""Conversions as processes that can be watched, stopped and killed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.forked import Forked

RELEASE_CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"


def digests(folder: Path) -> dict[str, str]:
    """The digest of every file, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    """What no finished dataset folder has."""
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


class Program:
    """``bioscan5m`` in a session of its own, so that a signal reaches all its processes.

    Args:
        words: The words of its command line.
        anew: Whether Python begins with it, and imports what it needs.
    """

    def __init__(self, *words: str | Path, anew: bool = False) -> None:
        self.process: Forked | subprocess.Popen[str]
        if anew:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "conversion", *map(str, words)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        else:
            self.process = Forked("-m", "conversion", *words, stderr=subprocess.PIPE)
        self.said = ""
        self._forked: set[int] = set()

    def reaches(self, text: str) -> bool:
        """Wait until a line of standard error holds a text; false where it ends before."""
        assert self.process.stderr
        for line in self.process.stderr:
            self.said += line
            if text in line:
                return True
        self.process.stderr.close()
        self.process.wait()
        return False

    def wait_for(self, text: str) -> None:
        """Wait until a line of standard error holds a text."""
        if not self.reaches(text):
            raise AssertionError(f"it ended with {self.process.wait()} and said: {self.said}")

    def wait(self) -> int:
        """Wait for the end; returns the status, negative for a signal."""
        assert self.process.stderr
        if not self.process.stderr.closed:
            _, rest = self.process.communicate(timeout=200)
            self.said += rest
        return self.process.returncode

    def kill_after(self, seconds: float) -> bool:
        """Kill the parent alone after a while; false where it ended before."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        killed = self.process.wait() == -signal.SIGKILL
        assert self.process.stderr
        self.process.stderr.close()
        return killed

    def interrupt(self, number: int = signal.SIGINT) -> None:
        """Send a signal to all its processes, as a terminal does; nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def workers(self) -> list[int]:
        """The processes that make shards.

        They are forked from the program itself, and those that replace them from a child of it.
        """
        children = {pid: _command(pid) for pid in _children(self.process.pid)}
        servers = [pid for pid, command in children.items() if b"forkserver" in command]
        # Only the first ones: any process looks like them in the moment in which it is begun.
        self._forked = self._forked or children.keys() - servers
        forked = [pid for pid in children if pid in self._forked]
        return forked + [worker for server in servers for worker in _children(server)]

    def reaches_children(self, count: int) -> None:
        """Wait until so many processes descend from it, or it has ended."""
        while _descendants(self.process.pid) < count and self.process.poll() is None:
            time.sleep(0.001)

    def kill_worker(self) -> bool:
        """Kill one worker as soon as there is one; false if the program has ended before."""
        while not (found := self.workers()):
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        try:
            os.kill(found[0], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def _children(pid: int) -> list[int]:
    try:
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    except OSError:
        return []


def _descendants(pid: int) -> int:
    return sum(1 + _descendants(child) for child in _children(pid))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
