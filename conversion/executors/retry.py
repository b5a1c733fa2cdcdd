"""Run shard tasks on an executor, with progress, and again where a worker died."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field

from bioscan5m_hf.errors import BioscanError, ConversionFailed
from conversion.executors.base import Pool, WorkerLost
from conversion.shards.build import ShardResult, ShardTask

_ATTEMPTS = 2
_IDLE_DEATHS = 3
_POLL_SECONDS = 0.2


HasRoom = Callable[[int], bool]
"""Whether one more shard may be begun while so many are being made."""


@dataclass(slots=True)
class _Queue:
    """Tasks that wait, those that run, and those whose worker died beneath them."""

    waiting: deque[ShardTask]
    running: dict[Future[ShardResult], ShardTask] = field(default_factory=dict)
    suspects: deque[ShardTask] = field(default_factory=deque)
    failures: dict[ShardTask, int] = field(default_factory=dict)
    idle_deaths: int = 0

    def fill(self, pool: Pool, has_room: HasRoom) -> None:
        # A suspect runs alone, so that it is known who is to blame if a worker dies again.
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
        """Replace a pool whose workers died while no task of theirs is to blame."""
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
                f"this shard failed {_ATTEMPTS} times, at last with {_told(cause)}",
                where=str(task.path),
                fix="run the same command again to go on",
            ) from cause
        self.suspects.append(task)


def _told(cause: BaseException) -> str:
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
    """Make shards, and hand out each result as it comes.

    A task whose worker dies, or that fails for another reason than its data, is tried once more.

    Args:
        tasks: What to make; the first are started first.
        pool: Where to make it.
        on_images: Told now and then how many images were finished in all.
        has_room: Asked whether one more may be begun while so many are being made.

    Yields:
        A result for each task, in the order in which they finish.

    Raises:
        BioscanError: What a task raised about its data or its output.
        ConversionFailed: A task failed twice.
    """
    queue = _Queue(deque(tasks))
    before = pool.images_done()
    while queue.waiting or queue.running or queue.suspects:
        try:
            queue.fill(pool, has_room)
        except BrokenExecutor:
            # A worker died between two tasks; those that run tell of it themselves.
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
        # What is finished is kept before what has failed ends the run.
        for future, error in sorted(errors.items(), key=lambda item: item[1] is not None):
            yield from _settle(queue, pool, future, error)
    if on_images:
        on_images(pool.images_done() - before)


def _recover(
    queue: _Queue, pool: Pool, future: Future[ShardResult], task: ShardTask
) -> Iterator[ShardResult]:
    """What became of a task when the pool broke: it may have finished just before."""
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
