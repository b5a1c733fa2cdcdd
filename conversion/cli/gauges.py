"""Show the progress of a piece of work: as a bar on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from conversion.progress import BYTES
from conversion.sizes import readable_size

_LINE_SECONDS: Final = 10.0
# Verifying a large shard takes minutes, and the bar moves only when it is done.
_ESTIMATED_OVER: Final = 300.0


class Gauge(Protocol):
    """Shows one piece of work."""

    def open(self) -> None:
        """Begin to show it."""
        ...

    def reached(self, count: int) -> None:
        """Update the amount that is done, counted from the beginning."""
        ...

    def close(self, *, left: bool) -> None:
        """Remove it, or leave it as it is."""
        ...


class Hidden:
    """Shows nothing."""

    def open(self) -> None:
        """Show nothing."""

    def reached(self, count: int) -> None:
        """Show nothing."""

    def close(self, *, left: bool) -> None:
        """Show nothing."""


class _Units(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit


class _Rate(_Units):
    """A column of the rate since the bar appeared."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else f"- {self._unit}/s")


class _Count(_Units):
    """A column of the count, once it is above zero."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed:,.0f} {self._unit}" if task.completed else "")


class Bar:
    """A bar on a terminal; if the total is unknown, a count and the elapsed time."""

    def __init__(
        self, console: Console, work: str, total: int | None, unit: str, done: int = 0
    ) -> None:
        columns: tuple[ProgressColumn, ...]
        if total is None:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                _Count(unit),
                TimeElapsedColumn(),
            )
        else:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                *(
                    (DownloadColumn(), TransferSpeedColumn())
                    if unit == BYTES
                    else (TextColumn("{task.completed:,.0f} of {task.total:,.0f}"), _Rate(unit))
                ),
                TimeRemainingColumn(),
                TextColumn("left"),
            )
        self._progress = Progress(
            *columns,
            console=console,
            transient=True,
            speed_estimate_period=_ESTIMATED_OVER,
        )
        self._task = self._progress.add_task(work, total=total, completed=done)

    def open(self) -> None:
        """Show the bar; the caller closes it even if this is interrupted."""
        self._progress.start()

    def reached(self, count: int) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=count)

    def close(self, *, left: bool) -> None:
        """Remove the bar, or leave it where it was."""
        self._progress.live.transient = not left
        self._progress.stop()


class Lines:
    """Plain lines, one in ten seconds at most, for a log file or a pipe."""

    def __init__(
        self, tell: Callable[[str], None], work: str, total: int | None, unit: str, done: int = 0
    ) -> None:
        self._tell, self._work, self._total, self._unit = tell, work, total, unit
        self._before = done
        self._began = self._told = monotonic()
        self._lock = threading.Lock()

    def open(self) -> None:
        """Print nothing yet."""

    def reached(self, count: int) -> None:
        """Print a line, unless the last one is less than ten seconds old."""
        now = monotonic()
        with self._lock:
            if now - self._told < _LINE_SECONDS or count <= self._before:
                return
            self._told = now
        rate = (count - self._before) / (now - self._began)
        if self._total is None:
            self._tell(f"{self._work}: {_amount(count, self._unit)}")
            return
        left = max(0.0, (self._total - count) / rate)
        if self._unit == BYTES:
            done = f"{readable_size(count)} of {readable_size(self._total)}"
            speed = f"{readable_size(round(rate))}/s"
        else:
            done = f"{count:,} of {self._total:,} {self._unit}"
            speed = f"{rate:,.0f} {self._unit}/s"
        self._tell(f"{self._work}: {done}, {speed}, {duration(left)} left")

    def close(self, *, left: bool) -> None:
        """Print nothing, because the caller prints the result of the work."""


def _amount(count: int, unit: str) -> str:
    return readable_size(count) if unit == BYTES else f"{count:,} {unit}"


def duration(seconds: float) -> str:
    """Format a time as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
