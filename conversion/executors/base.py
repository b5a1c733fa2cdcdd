"""Define what the run loop asks of the place where shards are made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import Future
from typing import Self

from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult


class WorkerLost(Exception):
    """A worker was lost before its shard was finished; the message says what is known of it."""


class Pool(ABC):
    """The workers that make shards.

    A future whose error is a ``concurrent.futures.BrokenExecutor`` says that the pool lost all
    its tasks; any other error concerns its own task only.

    Attributes:
        size: How many shards may be under way at a time; it may change while they are.
        workers: How many shards are made at the same moment.
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
        """What a future that is done failed with, if it did.

        Raises:
            ConversionFailed: No other task can succeed either.
        """
        return future.exception()

    def accept(self, task: ShardTask, result: ShardResult) -> ShardResult:
        """Let the file of a finished shard appear under its final name, if it has not yet.

        Raises:
            OutputError: It cannot.
        """
        del task
        return result

    @abstractmethod
    def images_done(self) -> int:
        """How many images were finished since the pool began."""

    def watch(self) -> None:
        """Look after the workers, now and then; a future tells of most that are lost.

        Raises:
            BioscanError: There are none, and none are going to come.
        """
        return

    def replace(self) -> None:
        """Begin anew where a worker that dies takes the others with it."""
        return

    @abstractmethod
    def stop(self) -> None:
        """End every task, as soon as that can be."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.stop()
