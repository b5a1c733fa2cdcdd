"""A watcher that remembers how far each piece of work came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from conversion.progress import Reached, SilentWatcher


class Remembered(SilentWatcher):
    """Remembers the counts of each piece of work, under its name and its unit, and their total."""

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}
        self.totals: dict[str, int | None] = {}

    @contextmanager
    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> Iterator[Reached]:
        del done
        name = f"{work}, {unit}"
        self.counts[name], self.totals[name] = [], total
        yield self.counts[name].append

    def require_whole(self) -> None:
        """See that counts grow, and end with what was to be reached."""
        for name, counts in self.counts.items():
            assert counts == sorted(counts), name
            assert counts[-1] == self.totals[name], name
