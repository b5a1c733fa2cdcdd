"""Interrupt a command where somebody asks it to end, and remember that until somebody heeds it.

Python raises ``KeyboardInterrupt`` wherever it is. In the middle of an import that may leave locks
of the import system held, for which other threads then wait without end, or be swallowed by a
library; a process that is just being started would be left without what it is to do; and in code
that answers to nobody, such as the end of an object, it is shown and forgotten. So it waits for an
import or a start to end, and comes again where it was lost.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "the terminal is gone",
}
"""What asks this process to end, and how that is told."""

asked: Final[list[int]] = []
"""The signals that came."""

_IMPORTING: Final = "importlib._bootstrap"
_STARTING: Final = "BaseProcess.start"
_SECONDS: Final = 0.01


def heed() -> None:
    """Interrupt the command if that was asked for; for places that a command passes now and then.

    Raises:
        KeyboardInterrupt: It was.
    """
    if asked and threading.current_thread() is threading.main_thread():
        settle()
        raise KeyboardInterrupt


def settle() -> None:
    """Let what was asked for be heeded: it does not come again."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def heard() -> list[signal.Signals]:
    """The signals that end this process; a job in the background is deaf to some of them."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Iterator[None]:
    """In the block, what asks this process to end interrupts the command, and not after it."""
    asked.clear()
    before = [(number, signal.signal(number, _interrupt)) for number in heard()]
    before.append((signal.SIGALRM, signal.signal(signal.SIGALRM, _come_again)))
    shown, sys.unraisablehook = sys.unraisablehook, _lost
    try:
        yield
    finally:
        settle()
        sys.unraisablehook = shown
        for number, handler in before:
            # None is what somebody else than Python does, which cannot be had back.
            signal.signal(number, handler or signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    asked.append(number)
    # Who asks once more does not want to wait.
    if len(asked) == 1 and _is_delicate(frame):
        _remind()
    else:
        settle()
        raise KeyboardInterrupt


def _come_again(_number: int, frame: FrameType | None) -> None:
    if _is_delicate(frame):
        _remind()
    elif asked:
        raise KeyboardInterrupt


def _remind() -> None:
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)


def _is_delicate(frame: FrameType | None) -> bool:
    """Whether a module is being imported or a process started."""
    while frame is not None:
        if frame.f_globals.get("__name__") == _IMPORTING or frame.f_code.co_qualname == _STARTING:
            return True
        frame = frame.f_back
    return False


def _lost(unraisable: sys.UnraisableHookArgs) -> None:
    """What nobody could catch: an interruption comes again, all else is shown as ever."""
    if asked and issubclass(unraisable.exc_type, KeyboardInterrupt):
        _remind()
    else:
        sys.__unraisablehook__(unraisable)
