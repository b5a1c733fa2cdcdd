"""Run functions in worker processes of this machine, which begin and end with this one."""

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
    deaf_processes,
    end_second_run,
    spare_pandas,
    worker_context,
)

_Given = ParamSpec("_Given")
_Task = TypeVar("_Task")
_Made = TypeVar("_Made")

# Tasks that wait for each process; more would pile up results.
_WAITING: Final = 2
# How long the thread of a pool that was killed is waited for.
_PATIENCE_SECONDS: Final = 10


class Processes:
    """Worker processes of this machine.

    They do not hear Ctrl-C, and are killed where the block of this context is left by an error.

    Args:
        count: How many.
        context: How they are made; by default they are forked from a process that has imported
            what shards need.
        initializer: What each of them calls first.
    """

    def __init__(
        self,
        count: int,
        context: BaseContext | None = None,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        end_second_run()
        self._count = count
        self._beginning: threading.Thread | None = None
        # An interruption between a semaphore and the note of how it is removed would leave it.
        with deaf_processes():
            self._executor = ProcessPoolExecutor(
                count,
                mp_context=context or worker_context(),
                initializer=partial(_begin_worker, initializer),
            )
        # The first task starts every worker, not each its own: a pool's thread goes through its
        # workers when one has died. If another is added meanwhile, the thread fails with a
        # traceback on standard error, and nobody is told that the pool is broken. The attribute is
        # private; it is how a pool treats the start method "fork".
        self._executor._safe_to_dynamically_spawn_children = False  # type: ignore[attr-defined]

    def begin(self, *, meanwhile: bool) -> None:
        """Start the workers before there is work.

        Args:
            meanwhile: Whether not to wait for that; workers that are forked from this process must
                be waited for, since it may have no second thread.
        """
        if not meanwhile:
            self._warm_up()
            return
        self._beginning = threading.Thread(target=self._warm_up, daemon=True)
        self._beginning.start()

    def _warm_up(self) -> None:
        # Where it fails, the first task does too, and that is told.
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
            with deaf_processes():
                return self._executor.submit(function, *given, **named)
        # Where workers die as they are started, a pipe of theirs may be closed already: ValueError.
        except (OSError, ValueError) as error:
            raise BrokenProcessPool("a worker could not be started") from error

    def map(self, function: Callable[[_Task], _Made], tasks: Iterable[_Task]) -> Iterator[_Made]:
        """Apply a function to tasks, holding few of the results at a time.

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
        """See that no worker ended because it began to run the script that this process runs.

        Raises:
            ConversionFailed: One did.
        """
        executor = self._executor
        manager = getattr(executor, "_executor_manager_thread", None)
        if manager and getattr(executor, "_broken", False):
            # It reads the exit codes as it ends, and each can be read but once.
            manager.join(_PATIENCE_SECONDS)
        processes = (getattr(executor, "_processes", None) or {}).values()
        if any(process.exitcode == SECOND_RUN for process in processes):
            raise ConversionFailed(
                "every worker process runs your script again from its beginning",
                fix='begin the work below a line if __name__ == "__main__":',
            )

    def finish(self) -> None:
        """Wait for what was submitted, then end the workers."""
        self._executor.shutdown()

    def kill(self) -> None:
        """End every worker at once."""
        if self._beginning:
            # A worker that is made after this one looked for workers would be left alone, and tell
            # that what it shares with its parent is gone.
            self._beginning.join()
        # Private, but the only way before Python 3.14 to not wait for a shard of gigabytes.
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
            # One that was killed while it sent a result has sent a part of it. The pool's thread
            # waits for the rest as long as anybody could send it, and that is this process too.
            results._writer.close()
            # Where it still lives when Python ends, it may close its pipe in the moment in which
            # Python writes to it, and the last line is a traceback of a bad file descriptor.
            manager.join(_PATIENCE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self.finish()
        else:
            self.kill()


def _begin_worker(initializer: Callable[[], None] | None) -> None:
    """Let a worker live and die with its parent."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # The pool ends with it those that are left when one has died.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # What is shared with the parent is not to be written to by a search for garbage.
    gc.freeze()
    spare_pandas()
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if initializer:
        initializer()


def _end_with(parent: BaseProcess) -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent.join()
    os._exit(1)
