"""Define who is told how far a long piece of work is; the work does not know who shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    # Not for work: the command line imports this, and Arrow takes a quarter of a second.
    import pyarrow as pa

BYTES: Final = "bytes"
"""The unit of work that is shown as a size, with a rate and the time that is left."""

Reached = Callable[[int], None]
"""Told how much is done by now, counted from the beginning; threads may share it."""


def counting_rows(batches: Iterable[pa.RecordBatch], reached: Reached) -> Iterator[pa.RecordBatch]:
    """Pass batches on, and tell how many rows have passed."""
    count = 0
    for batch in batches:
        count += batch.num_rows
        reached(count)
        yield batch


class Watcher(Protocol):
    """Told how a piece of work goes, by whoever does it."""

    def say(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> AbstractContextManager[Reached]:
        """A piece of work begins, and ends with the context.

        Args:
            work: What is being done.
            total: How much there is to do; ``None`` where nobody knows.
            unit: What is counted, such as ``BYTES`` or ``"records"``.
            done: How much was done before; it counts too.
        """
        ...


class Unwatched:
    """A watcher that nobody looks at."""

    def say(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> Iterator[Reached]:
        """Show nothing."""
        del work, total, unit, done
        yield lambda _: None
