"""On a real terminal: a bar while one waits, and what Ctrl-C leaves."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rich.console import Console

from conversion import interruption
from conversion.cli import console, gauges
from conversion.cli.console import Terminal
from conversion.progress import BYTES

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(*words: str | Path, until: bytes, then: bytes = b"") -> tuple[int, bytes]:
    """Run ``bioscan5m`` on a terminal of its own; gives its status and all that was shown.

    Args:
        words: The command line.
        until: What to wait for.
        then: What is typed then.
    """
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-m", "conversion", *map(str, words)])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            # The other end is closed.
            break
        if not piece:
            break
        shown += piece
        if then and until in shown:
            os.write(terminal, then)
            then = b""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


def test_ctrl_c_leaves_the_bar_one_line_and_the_prompt_its_own(tmp_path: Path) -> None:
    words = ("sample", tmp_path / "release", "-n", "5000", "--package", "cropped_256")
    status, shown = on_terminal(*words, until=b"of 3,000", then=b"\x03")
    assert status == 130
    text = CONTROL.sub(b"", shown).decode()
    lines = re.split(r"[\r\n]+", text)
    # What follows is the prompt.
    assert lines[-1] == ""
    assert lines[-2] == "bioscan5m: error: interrupted; the same command starts from the beginning"
    assert re.fullmatch(r"sampling .* of 3,000 .* left *(\^C)?", lines[-3])
    assert b"Traceback" not in shown
    # The cursor, which a bar hides, is there again.
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def test_a_terminal_shows_a_bar_where_one_waits(small_release: Path) -> None:
    status, shown = on_terminal("inspect", small_release, until=b"")
    text = CONTROL.sub(b"", shown).decode()
    assert status == 0
    for work in ("reading the metadata", "80 records", "listing the images of cropped_256"):
        assert work in text


# ------------------------------------------------------------------------- without a terminal


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass."""
    now = time.monotonic()

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(gauges, "monotonic", lambda: now)
    return sleep


def plain(monkeypatch: pytest.MonkeyPatch, *, quiet: bool = False) -> tuple[Terminal, io.StringIO]:
    shown = io.StringIO()
    monkeypatch.setattr(console, "make_console", lambda **_: Console(file=shown, width=160))
    return Terminal(quiet=quiet), shown


def test_a_log_file_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    terminal, shown = plain(monkeypatch)
    with terminal.progress("sending", 400_000_000, BYTES) as reached:
        clock(9)
        reached(90_000_000)
        clock(1)
        reached(100_000_000)
        reached(110_000_000)
    assert shown.getvalue() == "sending: 100.0 MB of 400.0 MB, 10.0 MB/s, 0:00:30 left\n"
    with terminal.progress("reading the metadata", unit="records") as reached:
        clock(20)
        reached(1_234_567)
    assert shown.getvalue().splitlines()[1:] == ["reading the metadata: 1,234,567 records"]


def test_images_are_counted_from_those_that_were_done(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    terminal, shown = plain(monkeypatch)
    with terminal.progress("converting", 1_000, "images", 400) as reached:
        clock(10)
        reached(500)
    assert shown.getvalue() == "converting: 500 of 1,000 images, 10 images/s, 0:00:50 left\n"


def test_what_a_library_has_swallowed_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, _ = plain(monkeypatch)
    with terminal.progress("converting", 10, "images") as reached:
        monkeypatch.setattr(interruption, "asked", [2])
        with pytest.raises(KeyboardInterrupt):
            reached(1)
        with pytest.raises(KeyboardInterrupt), terminal.progress("sending", 10, BYTES):
            pass
        # What is cleared away then is not disturbed.
        terminal.say("clearing")
        # Another thread cannot end the command.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(reached, 2).result()


def test_showing_something_imports_no_arrow() -> None:
    program = "import sys, conversion.cli.console; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_quiet_terminal_shows_no_progress(
    monkeypatch: pytest.MonkeyPatch, clock: Callable[[float], None]
) -> None:
    terminal, shown = plain(monkeypatch, quiet=True)
    with terminal.progress("sending", 10, BYTES) as reached:
        clock(60)
        reached(5)
    assert shown.getvalue() == ""
