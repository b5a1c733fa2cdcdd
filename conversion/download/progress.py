"""Show how a download goes: a bar for each file on a terminal, plain lines otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from bioscan5m_hf.errors import counted
from conversion.sizes import readable_size

_LINE_SECONDS: Final = 10.0


class DownloadReporter:
    """Shows how a download goes, on standard error; threads may share it."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._told = 0.0

    def say(self, text: str) -> None:
        """Show one note."""
        if not self._quiet:
            self._console.print(text, markup=False)

    def begin(
        self, files: Sequence[tuple[str, int]], verb: str = "fetching"
    ) -> list[Callable[[int], None]]:
        """Show that files are going to be fetched, or proved.

        Returns:
            For each, what is to be told how many bytes are done.
        """
        self._total = sum(size for _, size in files)
        self._done = 0
        self._told = time.monotonic()
        if self._quiet:
            return [lambda _: None for _ in files]
        if not self._console.is_terminal:
            self.say(f"{verb} {counted(len(files), 'file')}, {readable_size(self._total)}")
            return [self._count for _ in files]
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._progress.start()
        return [self._bar(self._progress, name, size) for name, size in files]

    @staticmethod
    def _bar(progress: Progress, name: str, size: int) -> Callable[[int], None]:
        task = progress.add_task(name, total=size)
        return lambda count: progress.advance(task, count)

    def _count(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told < _LINE_SECONDS:
                return
            self._told = now
            done = self._done
        self.say(f"{readable_size(done)} of {readable_size(self._total)}")

    def end(self) -> None:
        """Leave the bars as they are."""
        if self._progress:
            self._progress.stop()
            self._progress = None
