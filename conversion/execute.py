"""Run shard tasks on an executor, with progress, and again where a worker died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from typing import Protocol, Self

from bioscan5m_hf.errors import BioscanError, ConversionFailed
from conversion.shard import ShardResult, ShardTask, make_shard
from conversion.start import spare_pandas

_ATTEMPTS = 2
_IDLE_DEATHS = 3
_POLL_SECONDS = 0.2
_WATCH_SECONDS = 0.5


class Pool(Protocol):
    """Where shards are made.

    Attributes:
        size: How many are made at a time.
    """

    size: int

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        ...

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        ...

    def replace(self) -> None:
        """Begin anew, after a worker died and took the others with it."""
        ...

    def stop(self) -> None:
        """End every worker at once."""
        ...


class LocalPool:
    """Worker processes on this machine.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._context = multiprocessing.get_context("spawn")
        self._counter: Synchronized[int] = self._context.Value("q", 0)
        self._executor = self._begin()

    def _begin(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            self.size,
            mp_context=self._context,
            initializer=_begin_worker,
            initargs=(self._counter, os.getpid()),
        )
        start_all_at_once(executor)
        # Workers take a moment to import what they need; meanwhile the catalogue is made.
        with suppress(BrokenProcessPool, OSError, ValueError), deaf_processes():
            executor.submit(os.getpid)
        return executor

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        try:
            with deaf_processes():
                return self._executor.submit(_run, task)
        # Where workers die as they are started, a pipe of theirs may be closed already: ValueError.
        except (OSError, ValueError) as error:
            raise BrokenProcessPool("a worker could not be started") from error

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        return self._counter.value

    def replace(self) -> None:
        """Begin anew, after a worker died and took the others with it."""
        self.stop()
        self._executor = self._begin()

    def stop(self) -> None:
        """End every worker at once."""
        # Private, but the only way before Python 3.14 to not wait for a shard of gigabytes.
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self._executor.shutdown()
        else:
            self.stop()


def start_all_at_once(executor: ProcessPoolExecutor) -> None:
    """Let the first task that is submitted start every worker, not each its own.

    A pool's thread goes through its workers when one has died. If another is added meanwhile, the
    thread fails with a traceback on standard error, and nobody is told that the pool is broken.

    Args:
        executor: A pool that has no task yet.
    """
    # Private; it is how a pool treats the start method "fork", where threads forbid the other way.
    executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]


@contextmanager
def deaf_processes() -> Iterator[None]:
    """Processes that begin in the block do not hear Ctrl-C, not even while they import.

    It reaches every process of the terminal; only the parent shall answer to it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_counter: Synchronized[int] | None = None


def _begin_worker(counter: Synchronized[int], parent: int) -> None:
    global _counter  # noqa: PLW0603 - a pool's initializer has no other place to put it
    _counter = counter
    begin_worker(parent)


def begin_worker(parent: int) -> None:
    """Let a worker process live and die with its parent.

    Args:
        parent: The id of the parent process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_pandas()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _run(task: ShardTask) -> ShardResult:
    return make_shard(task, _count)


def _count(images: int, _bytes: int) -> None:
    if _counter is not None:
        with _counter.get_lock():
            _counter.value += images


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
    if isinstance(cause, BrokenProcessPool):
        return "its worker process dying (out of memory?)"
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
        except BrokenProcessPool:
            # A worker died between two tasks; those that run tell of it themselves.
            if not queue.running:
                queue.begin_anew(pool)
                continue
        if not queue.running:
            time.sleep(_POLL_SECONDS)
        done, _ = wait(queue.running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        if on_images:
            on_images(pool.images_done() - before)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            lost = list(queue.running.items())
            queue.running.clear()
            pool.replace()
            for future, task in lost:
                yield from _recover(queue, future, task)
            continue
        # What is finished is kept before what has failed ends the run.
        for future in sorted(done, key=lambda future: future.exception() is not None):
            yield from _settle(queue, future, queue.running.pop(future))
    if on_images:
        on_images(pool.images_done() - before)


def _recover(queue: _Queue, future: Future[ShardResult], task: ShardTask) -> Iterator[ShardResult]:
    """What became of a task when the pool broke: it may have finished just before."""
    if future.done() and not future.cancelled() and future.exception() is None:
        yield future.result()
    else:
        queue.fail(task, BrokenProcessPool("a worker died"))


def _settle(queue: _Queue, future: Future[ShardResult], task: ShardTask) -> Iterator[ShardResult]:
    error = future.exception()
    if error is None:
        yield future.result()
    elif isinstance(error, BioscanError):
        raise error
    else:
        queue.fail(task, error)
