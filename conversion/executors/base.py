"""Define what the run loop asks of the place where shards are made."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol, Self

from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult


class WorkerLost(Exception):
    """A worker was lost before its shard was finished; the message says what is known of it."""


class Pool(Protocol):
    """Where shards are made.

    A future whose error is a ``concurrent.futures.BrokenExecutor`` says that the pool lost all
    its tasks; any other error concerns its own task only.
    """

    @property
    def size(self) -> int:
        """How many shards may be under way at a time; it may change while they are."""
        ...

    @property
    def workers(self) -> int:
        """How many shards are made at the same moment."""
        ...

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task.

        Raises:
            BrokenExecutor: No worker can take it.
        """
        ...

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """What a future that is done failed with, if it did.

        Raises:
            ConversionFailed: No other task can succeed either.
        """
        ...

    def accept(self, task: ShardTask, result: ShardResult) -> ShardResult:
        """Let the file of a finished shard appear under its final name, if it has not yet.

        Raises:
            OutputError: It cannot.
        """
        ...

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        ...

    def watch(self) -> None:
        """Look after the workers, now and then.

        Raises:
            BioscanError: There are none, and none are going to come.
        """
        ...

    def replace(self) -> None:
        """Begin anew, after a worker died and took the others with it."""
        ...

    def stop(self) -> None:
        """End every task at once."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None: ...
