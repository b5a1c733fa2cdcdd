"""Define the interface for reporting the progress of long work, independent of its display."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    # For types only: the command line imports this module, and Arrow takes a quarter of a second.
    import pyarrow as pa

BYTES: Final = "bytes"
"""The unit of work that is shown as a size, with its rate and the remaining time."""

Reached = Callable[[int], None]
"""Called with the total amount done so far; safe to call from several threads."""


def counting_rows(batches: Iterable[pa.RecordBatch], reached: Reached) -> Iterator[pa.RecordBatch]:
    """Pass batches on, and report the number of rows so far."""
    count = 0
    for batch in batches:
        count += batch.num_rows
        reached(count)
        yield batch


class Watcher(Protocol):
    """Receives the messages and the progress of a piece of work."""

    def say(self, text: str) -> None:
        """Show a message to the user."""
        ...

    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> AbstractContextManager[Reached]:
        """Show the progress of the work in a ``with`` block.

        Args:
            work: What is being done.
            total: The total amount of work; ``None`` if it is unknown.
            unit: What is counted, such as ``BYTES`` or ``"records"``.
            done: How much of the total was already done before.
        """
        ...


class SilentWatcher:
    """A watcher that shows nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""

    @contextmanager
    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> Iterator[Reached]:
        """Show nothing."""
        del work, total, unit, done
        yield lambda _: None
