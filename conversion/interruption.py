"""Interrupt a command when a signal asks it to end, at a moment when that is safe.

Python raises ``KeyboardInterrupt`` at any point. During an import, this may leave locks of the
import system held, so that other threads wait for ever, or a library may swallow it. During the
start of a process, that process would be left without its task. In code without a caller, such as a
finaliser, the exception is only printed. So this module delays the interruption until an import or
a start has ended, and repeats it if it was lost.
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
"""The signals that ask this process to end, each with the text for the user."""

asked: Final[list[int]] = []
"""The signals received so far."""

_IMPORTING: Final = "importlib._bootstrap"
_STARTING: Final = "BaseProcess.start"
_SECONDS: Final = 0.01


def raise_if_interrupted() -> None:
    """Interrupt the command if a signal has come; commands call this regularly.

    Raises:
        KeyboardInterrupt: A signal has come.
    """
    if asked and threading.current_thread() is threading.main_thread():
        settle()
        raise KeyboardInterrupt


def settle() -> None:
    """Stop repeating the interruption, because it has been handled."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def heeded_signals() -> list[signal.Signals]:
    """The signals that this process does not ignore; a background job ignores some of them."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def interruptible() -> Iterator[None]:
    """Let these signals interrupt the command within the ``with`` block, and not afterwards."""
    asked.clear()
    before = [(number, signal.signal(number, _interrupt)) for number in heeded_signals()]
    before.append((signal.SIGALRM, signal.signal(signal.SIGALRM, _come_again)))
    shown, sys.unraisablehook = sys.unraisablehook, _lost
    try:
        yield
    finally:
        settle()
        sys.unraisablehook = shown
        for number, handler in before:
            # None: the handler was not set by Python, so it cannot be restored.
            signal.signal(number, handler or signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    asked.append(number)
    # A second signal interrupts at once, even at an unsafe moment.
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
    """Repeat an interruption that was lost; show all other lost errors as usual."""
    if asked and issubclass(unraisable.exc_type, KeyboardInterrupt):
        _remind()
    else:
        sys.__unraisablehook__(unraisable)
