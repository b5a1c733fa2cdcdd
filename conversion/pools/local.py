"""Worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.sharedctypes import Synchronized
from typing import Final, Self

from conversion.shard import ShardResult, ShardTask, make_shard
from conversion.start import spare_pandas

_WATCH_SECONDS: Final = 0.5


class LocalPool:
    """Worker processes on this machine.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._context = multiprocessing.get_context("spawn")
        self._counter: Synchronized[int] = self._context.Value("q", 0)
        self._executor = self._begin()

    @property
    def size(self) -> int:
        """How many shards are made at a time."""
        return self._size

    def _begin(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            self._size,
            mp_context=self._context,
            initializer=_begin_worker,
            initargs=(self._counter, os.getpid()),
        )
        # Workers take a moment to import what they need; meanwhile the catalogue is made.
        with suppress(BrokenProcessPool, OSError, ValueError), deaf_processes():
            for _ in range(self._size):
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

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """What a future that is done failed with, if it did."""
        return future.exception()

    def accept(self, _task: ShardTask, result: ShardResult) -> ShardResult:
        """The worker has given the file its final name."""
        return result

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        return self._counter.value

    def watch(self) -> None:
        """A worker that dies is told of by its future."""

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
