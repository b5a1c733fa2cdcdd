"""Worker processes on this machine."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from typing import Self

from conversion.executors.start import deaf_processes, may_fork, spare_pandas, worker_context
from conversion.shards.build import MadeShard, ShardResult, ShardTask, write_shard


class LocalPool:
    """Worker processes on this machine.

    They are forked from this process where it has no threads yet, as it has imported already what
    they need. While this process waits for the disk and lets a shard appear, the worker that wrote
    it makes the next one.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._counted = 0
        self._settling = _settling(workers)
        self._beginning: threading.Thread | None = None
        self._executor, self._counter = self._begin()

    @property
    def size(self) -> int:
        """How many shards may be under way: one that is made and one that is waited for, each."""
        return 2 * self._workers

    def _begin(self) -> tuple[ProcessPoolExecutor, Synchronized[int]]:
        forking = may_fork()
        context = multiprocessing.get_context("fork") if forking else worker_context()
        counter: Synchronized[int] = context.Value("q", 0)
        executor = ProcessPoolExecutor(
            self._workers, mp_context=context, initializer=_begin_worker, initargs=(counter,)
        )
        start_all_at_once(executor)
        if forking:
            _warm_up(executor)
        else:
            # Workers take a moment to begin; meanwhile the catalogue is made.
            self._beginning = threading.Thread(target=_warm_up, args=(executor,), daemon=True)
            self._beginning.start()
        return executor, counter

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        try:
            with deaf_processes():
                writing = self._executor.submit(_run, task)
        # Where workers die as they are started, a pipe of theirs may be closed already: ValueError.
        except (OSError, ValueError) as error:
            raise BrokenProcessPool("a worker could not be started") from error
        settled: Future[ShardResult] = Future()
        writing.add_done_callback(lambda written: self._settle(written, settled))
        return settled

    def _settle(self, written: Future[MadeShard], settled: Future[ShardResult]) -> None:
        """A worker has come to an end with a shard; what it made is waited for in a thread."""
        if written.cancelled():
            settled.cancel()
        elif error := written.exception():
            settled.set_exception(error)
        else:
            # Where the pool is ended meanwhile, nobody waits for it.
            with suppress(RuntimeError):
                self._settling.submit(_let_appear, written.result(), settled)

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """What a future that is done failed with, if it did."""
        return future.exception()

    def accept(self, _task: ShardTask, result: ShardResult) -> ShardResult:
        """The file has its final name."""
        return result

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        return self._counted + self._counter.value

    def watch(self) -> None:
        """A worker that dies is told of by its future."""

    def replace(self) -> None:
        """Begin anew, after a worker died and took the others with it."""
        self._kill()
        # What was written before is still good.
        self._settling.shutdown()
        self._settling = _settling(self._workers)
        self._counted += self._counter.value
        self._executor, self._counter = self._begin()

    def stop(self) -> None:
        """End every worker at once."""
        self._kill()
        self._settling.shutdown(cancel_futures=True)

    def _kill(self) -> None:
        if self._beginning:
            # A worker that is made after this one looked for workers would be left alone, and tell
            # that what it shares with its parent is gone.
            self._beginning.join()
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
            self._settling.shutdown()
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
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # What is shared with the parent is not to be written to by a search for garbage.
    gc.freeze()
    spare_pandas()
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent.join()
    os._exit(1)


def _run(task: ShardTask) -> MadeShard:
    return write_shard(task, _count)


def _settling(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="bioscan5m-settle")


def _let_appear(made: MadeShard, settled: Future[ShardResult]) -> None:
    try:
        settled.set_result(made.settle())
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        settled.set_exception(error)


def _count(images: int, _bytes: int) -> None:
    if _counter is not None:
        with _counter.get_lock():
            _counter.value += images
