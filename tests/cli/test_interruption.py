"""An interruption comes where it does no harm, and is never lost."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from conversion.interruption import asked, interruptible


def ask() -> None:
    """Send this process a signal, and be where the interpreter looks for it."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0)


class BaseProcess:
    """Named as what starts processes."""

    def __init__(self) -> None:
        self.started = False

    def start(self) -> None:
        ask()
        self.started = True


class Finder:
    """Is asked for a module in the middle of its import."""

    def __init__(self) -> None:
        self.times = 1
        self.whole = False

    def find_spec(self, name: str, *_given: object) -> None:
        if name == "no_such_module":
            for _ in range(self.times):
                ask()
            self.whole = True


class Mortal:
    """Ends while nobody could catch an error."""

    def __del__(self) -> None:
        ask()


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What was asked of these tests is not asked of those that follow in this process."""
    yield
    asked.clear()


@pytest.fixture
def finder() -> Iterator[Finder]:
    made = Finder()
    sys.meta_path.insert(0, made)
    yield made
    sys.meta_path.remove(made)


def interrupted(delicate: Callable[[], object]) -> bool:
    """Whether the block is left soon after what must not be left in the middle."""
    try:
        with interruptible():
            delicate()
            until = time.monotonic() + 20
            while time.monotonic() < until:
                time.sleep(0.01)
    except KeyboardInterrupt:
        return True
    return False


def test_an_import_is_not_left_in_the_middle(finder: Finder) -> None:
    def delicate() -> None:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("no_such_module")

    assert interrupted(delicate)
    assert finder.whole
    assert asked == [signal.SIGTERM]


def test_a_process_is_started_whole() -> None:
    process = BaseProcess()
    assert interrupted(process.start)
    assert process.started


def test_what_nobody_could_catch_comes_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert interrupted(Mortal)
    assert capsys.readouterr().err == ""


def test_who_asks_twice_does_not_wait(finder: Finder) -> None:
    finder.times = 2
    with interruptible(), pytest.raises(KeyboardInterrupt):
        importlib.import_module("no_such_module")
    assert not finder.whole
    assert asked == [signal.SIGTERM] * 2


def test_signals_mean_what_they_did_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers], sys.unraisablehook
    assert interrupted(ask)
    assert ([signal.getsignal(number) for number in numbers], sys.unraisablehook) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


LEAVING = """
import contextlib, os, signal, sys
from conversion.cli import main

real = main.interruptible

@contextlib.contextmanager
def interruptible():
    with real():
        yield
    os.kill(os.getpid(), signal.SIGINT)

main.interruptible = interruptible
sys.argv = ["bioscan5m", "--version"]
sys.exit(main.program())
"""


def test_an_interruption_after_the_command_shows_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stderr == ""
    assert done.stdout.startswith("bioscan5m ")
    assert done.returncode == -signal.SIGINT
