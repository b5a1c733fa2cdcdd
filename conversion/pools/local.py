"""Worker processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from typing import Self

from conversion.shard import ShardResult, ShardTask, make_shard
from conversion.start import deaf_processes, spare_pandas, worker_context


class LocalPool:
    """Worker processes on this machine.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._context = worker_context()
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
            initargs=(self._counter,),
        )
        start_all_at_once(executor)
        # Workers take a moment to begin; meanwhile the catalogue is made.
        threading.Thread(target=_warm_up, args=(executor,), daemon=True).start()
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


def _warm_up(executor: ProcessPoolExecutor) -> None:
    # Where it fails, the first task does too, and that is told.
    with suppress(BrokenProcessPool, OSError, ValueError, RuntimeError), deaf_processes():
        executor.submit(os.getpid)


def start_all_at_once(executor: ProcessPoolExecutor) -> None:
    """Let the first task that is submitted start every worker, not each its own.

    A pool's thread goes through its workers when one has died. If another is added meanwhile, the
    thread fails with a traceback on standard error, and nobody is told that the pool is broken.

    Args:
        executor: A pool that has no task yet.
    """
    # Private; it is how a pool treats the start method "fork", where threads forbid the other way.
    executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]


_counter: Synchronized[int] | None = None


def _begin_worker(counter: Synchronized[int]) -> None:
    global _counter  # noqa: PLW0603 - a pool's initializer has no other place to put it
    _counter = counter
    begin_worker()


def begin_worker() -> None:
    """Let a worker process live and die with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_pandas()
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent.join()
    os._exit(1)


def _run(task: ShardTask) -> ShardResult:
    return make_shard(task, _count)


def _count(images: int, _bytes: int) -> None:
    if _counter is not None:
        with _counter.get_lock():
            _counter.value += images
