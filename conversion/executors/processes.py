"""Run functions in worker processes of this machine, which end when this process ends."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Final, ParamSpec, Self, TypeVar

from bioscan5m_hf.errors import ConversionFailed
from conversion.executors.start import (
    SECOND_RUN,
    exit_second_run,
    keep_pandas_out,
    signals_blocked,
    worker_context,
)

_Given = ParamSpec("_Given")
_Task = TypeVar("_Task")
_Made = TypeVar("_Made")

# Tasks that wait for each process; with more of them, results would pile up in memory.
_WAITING: Final = 2
# How long to wait for the thread of a pool that was killed.
_PATIENCE_SECONDS: Final = 10


class Processes:
    """Worker processes of this machine.

    They ignore Ctrl-C, and are killed when an error leaves the ``with`` block.

    Args:
        count: How many workers.
        context: The start method; by default workers are forked from a process that has already
            imported the modules that shards need.
        initializer: A function that each worker calls first.
    """

    def __init__(
        self,
        count: int,
        context: BaseContext | None = None,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        exit_second_run()
        self._count = count
        self._beginning: threading.Thread | None = None
        # The pool creates semaphores, and then registers how each is removed. An interruption
        # between the two steps would leave a semaphore behind.
        with signals_blocked():
            self._executor = ProcessPoolExecutor(
                count,
                mp_context=context or worker_context(),
                initializer=partial(_begin_worker, initializer),
            )
        # Let the first task start all workers, instead of each task starting one. When a worker
        # has died, the pool's thread iterates over the workers. If one is added at that moment, the
        # thread fails with a traceback on standard error, and no future reports that the pool is
        # broken. The attribute is private; a pool sets it so for the start method "fork".
        self._executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]

    def begin(self, *, meanwhile: bool) -> None:
        """Start the workers before there are tasks.

        Args:
            meanwhile: Start them in a thread and return at once. This must be false for workers
                that are forked from this process, because it may have no second thread then.
        """
        if not meanwhile:
            self._warm_up()
            return
        self._beginning = threading.Thread(target=self._warm_up, daemon=True)
        self._beginning.start()

    def _warm_up(self) -> None:
        # If this fails, the first task fails as well, and that failure is reported.
        with suppress(BrokenProcessPool, RuntimeError):
            self.submit(os.getpid)

    def submit(
        self, function: Callable[_Given, _Made], *given: _Given.args, **named: _Given.kwargs
    ) -> Future[_Made]:
        """Start one task.

        Raises:
            BrokenProcessPool: No worker can take it.
        """
        try:
            with signals_blocked():
                return self._executor.submit(function, *given, **named)
        # ValueError: if a worker dies while it starts, its pipe may be closed already.
        except (OSError, ValueError) as error:
            raise BrokenProcessPool("a worker could not be started") from error

    def map(self, function: Callable[[_Task], _Made], tasks: Iterable[_Task]) -> Iterator[_Made]:
        """Apply a function to tasks, and hold only a few of the results at a time.

        Yields:
            The results, in the order of the tasks.

        Raises:
            ConversionFailed: A worker died, or could not be started.
        """
        waiting: deque[Future[_Made]] = deque()
        try:
            for task in tasks:
                waiting.append(self.submit(function, task))
                if len(waiting) > self._count * _WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            self.require_guard()
            raise ConversionFailed(
                "a worker process died (out of memory?)",
                fix="run the same command again with fewer --workers",
            ) from error

    def require_guard(self) -> None:
        """Check that no worker ended because it began to run the main script again.

        Raises:
            ConversionFailed: A worker did.
        """
        executor = self._executor
        manager = getattr(executor, "_executor_manager_thread", None)
        if manager and getattr(executor, "_broken", False):
            # This thread reads the exit codes when it ends, and each code can be read only once.
            manager.join(_PATIENCE_SECONDS)
        processes = (getattr(executor, "_processes", None) or {}).values()
        if any(process.exitcode == SECOND_RUN for process in processes):
            raise ConversionFailed(
                "every worker process runs your script again from its beginning",
                fix='begin the work below a line if __name__ == "__main__":',
            )

    def finish(self) -> None:
        """Wait for the submitted tasks, then end the workers."""
        self._executor.shutdown()

    def kill(self) -> None:
        """End every worker at once."""
        if self._beginning:
            # A worker that starts after the list below was made would not be killed, and would
            # print an error because the semaphores of its parent are gone.
            self._beginning.join()
        # These attributes are private, but before Python 3.14 a pool has no other way to end
        # workers without waiting for their shards, which can have gigabytes.
        executor = self._executor
        processes = list((getattr(executor, "_processes", None) or {}).values())
        manager = getattr(executor, "_executor_manager_thread", None)
        results = getattr(executor, "_result_queue", None)
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        if results and manager:
            # A worker may be killed after it has sent only a part of its result. The pool's thread
            # waits for the rest as long as any process can write to the pipe, this one included.
            results._writer.close()
            # If the thread still runs when Python exits, it may close its pipe while Python writes
            # to it, and Python then prints a traceback about a bad file descriptor.
            manager.join(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.kill()


def _begin_worker(initializer: Callable[[], None] | None) -> None:
    """Set up the signals of a worker, and let it end together with its parent."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # When one worker has died, the pool ends the rest with this signal.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # A garbage collection would write to the objects shared with the parent, and so copy them.
    gc.freeze()
    keep_pandas_out()
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if initializer:
        initializer()


def _end_with(parent: BaseProcess) -> None:
    """End this worker when its parent is killed; it would wait for tasks for ever."""
    parent.join()
    os._exit(1)
