"""Define the interface between the run loop and the workers that make shards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Self

from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult


class WorkerLost(Exception):
    """A worker was lost before its shard was finished; the message says what is known about it."""


class Pool(ABC):
    """The workers that make shards.

    If a future fails with ``concurrent.futures.BrokenExecutor``, the pool has lost all its tasks.
    Any other error concerns only the task of that future.

    Attributes:
        size: How many shards may be submitted at a time; it may change during the run.
        workers: How many shards are made at the same time.
    """

    size: int
    workers: int

    @abstractmethod
    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task.

        Raises:
            BrokenExecutor: No worker can take it.
        """

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """Return the error of a done future, or ``None`` if it succeeded.

        Raises:
            ConversionFailed: No other task can succeed either.
        """
        return future.exception()

    def accept(self, task: ShardTask, result: ShardResult) -> ShardResult:
        """Give the file of a finished shard its final name, if it does not have it yet.

        Raises:
            OutputError: The file cannot be moved.
        """
        del task
        return result

    @abstractmethod
    def images_done(self) -> int:
        """How many images were finished since the pool began."""

    def watch(self) -> None:
        """Check that there are workers; called regularly, as not every loss fails a future.

        Raises:
            BioscanError: There are no workers, and none are expected.
        """
        return

    def replace(self) -> None:
        """Start new workers, if the death of one worker ends all of them."""
        return

    @abstractmethod
    def stop(self) -> None:
        """End every task as soon as possible."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.stop()
