"""Run shard tasks on an executor with progress, and retry those whose worker died."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field

from bioscan5m_hf.errors import BioscanError, ConversionFailed
from conversion.executors.base import Pool, WorkerLost
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

_ATTEMPTS = 2
_IDLE_DEATHS = 3
_POLL_SECONDS = 0.2


HasRoom = Callable[[int], bool]
"""Takes the number of shards that are being made, and returns whether one more may start."""


@dataclass(slots=True)
class _Queue:
    """The waiting tasks, the running tasks, and the suspects, which failed once."""

    waiting: deque[ShardTask]
    running: dict[Future[ShardResult], ShardTask] = field(default_factory=dict)
    suspects: deque[ShardTask] = field(default_factory=deque)
    failures: dict[ShardTask, int] = field(default_factory=dict)
    idle_deaths: int = 0

    def fill(self, pool: Pool, has_room: HasRoom) -> None:
        # A suspect runs alone, so that it is clear which task is the cause if a worker dies again.
        if self.suspects and not self.running and has_room(0):
            self._start(self.suspects, pool)
            return
        while self.waiting and not self.suspects and len(self.running) < pool.size:
            if any(task in self.failures for task in self.running.values()):
                return
            if not has_room(len(self.running)):
                return
            self._start(self.waiting, pool)

    def _start(self, tasks: deque[ShardTask], pool: Pool) -> None:
        self.running[pool.submit(tasks[0])] = tasks[0]
        tasks.popleft()

    def begin_anew(self, pool: Pool) -> None:
        """Replace a pool whose workers died while they had no tasks."""
        self.idle_deaths += 1
        if self.idle_deaths > _IDLE_DEATHS:
            raise ConversionFailed(
                f"the worker processes died {self.idle_deaths} times before they had work",
                fix="see that there is memory for them, or use fewer --workers",
            )
        pool.replace()

    def fail(self, task: ShardTask, cause: BaseException) -> None:
        self.failures[task] = self.failures.get(task, 0) + 1
        if self.failures[task] >= _ATTEMPTS:
            raise ConversionFailed(
                f"this shard failed {_ATTEMPTS} times, at last with {_described(cause)}",
                where=str(task.path),
                fix="run the same command again to go on",
            ) from cause
        self.suspects.append(task)


def _described(cause: BaseException) -> str:
    if isinstance(cause, BrokenExecutor):
        return "its worker process dying (out of memory?)"
    if isinstance(cause, WorkerLost):
        return str(cause)
    return f"{type(cause).__name__}: {cause}"


def run_shards(
    tasks: Sequence[ShardTask],
    pool: Pool,
    on_images: Callable[[int], None] | None = None,
    has_room: HasRoom = lambda _running: True,
) -> Iterator[ShardResult]:
    """Make shards, and yield each result as soon as it is there.

    A task is retried once if its worker dies, or if it fails with anything but a ``BioscanError``.

    Args:
        tasks: The shards to make; they are started in this order.
        pool: The workers.
        on_images: Called regularly with the number of images finished by this call.
        has_room: Given the number of shards that are being made, returns whether one more may be
            started.

    Yields:
        A result for each task, in the order in which they finish.

    Raises:
        BioscanError: A task raised it about its data or its output.
        ConversionFailed: A task failed twice.
    """
    queue = _Queue(deque(tasks))
    before = pool.images_done()
    while queue.waiting or queue.running or queue.suspects:
        try:
            queue.fill(pool, has_room)
        except BrokenExecutor:
            # A worker died between two tasks. If tasks are running, their futures report it.
            if not queue.running:
                queue.begin_anew(pool)
                continue
        if not queue.running:
            time.sleep(_POLL_SECONDS)
        done, _ = wait(queue.running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        if on_images:
            on_images(pool.images_done() - before)
        pool.watch()
        errors = {future: pool.error_of(future) for future in done}
        if any(isinstance(error, BrokenExecutor) for error in errors.values()):
            lost = list(queue.running.items())
            queue.running.clear()
            pool.replace()
            for future, task in lost:
                yield from _recover(queue, pool, future, task)
            continue
        # Finished shards are recorded first, because a failure may end the run.
        for future, error in sorted(errors.items(), key=lambda item: item[1] is not None):
            yield from _settle(queue, pool, future, error)
    if on_images:
        on_images(pool.images_done() - before)


def _recover(
    queue: _Queue, pool: Pool, future: Future[ShardResult], task: ShardTask
) -> Iterator[ShardResult]:
    """Settle a task after the pool broke; it may have finished just before."""
    if future.done() and not future.cancelled() and future.exception() is None:
        yield pool.accept(task, future.result())
    else:
        queue.fail(task, BrokenExecutor("a worker died"))


def _settle(
    queue: _Queue, pool: Pool, future: Future[ShardResult], error: BaseException | None
) -> Iterator[ShardResult]:
    task = queue.running.pop(future)
    if error is None:
        yield pool.accept(task, future.result())
    elif isinstance(error, BioscanError):
        raise error
    else:
        queue.fail(task, error)
