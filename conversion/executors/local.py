"""Make shards in worker processes of this machine."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing.sharedctypes import Synchronized

from conversion.executors.base import Pool
from conversion.executors.processes import Processes
from conversion.executors.start import exit_second_run, may_fork, signals_blocked, worker_context
from conversion.planning.tasks import ShardTask
from conversion.shards.build import MadeShard, ShardResult, write_shard


class LocalPool(Pool):
    """Worker processes on this machine.

    If this process has no other threads yet, the workers are forked from it, because it has already
    imported the modules they need. While this process waits for the disk and gives a shard its
    final name, the worker that wrote the shard makes the next one.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # For each worker: one shard that is being made, and one that is being synced and renamed.
        self.size = 2 * workers
        self._counted = 0
        self._settling = _settling(workers)
        self._processes, self._counter = self._begin()

    def _begin(self) -> tuple[Processes, Synchronized[int]]:
        exit_second_run()
        forking = may_fork()
        context = multiprocessing.get_context("fork") if forking else worker_context()
        # The lock of the counter is a semaphore: see Processes.
        with signals_blocked():
            counter: Synchronized[int] = context.Value("q", 0)
        processes = Processes(self.workers, context, partial(_share, counter))
        try:
            # Workers that are not forked start slowly; the catalogue is built in the meantime.
            processes.begin(meanwhile=not forking)
        except BaseException:
            # After an interruption here, no context manager would end the workers.
            processes.kill()
            raise
        return processes, counter

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        writing = self._processes.submit(_run, task)
        settled: Future[ShardResult] = Future()
        writing.add_done_callback(lambda written: self._settle(written, settled))
        return settled

    def _settle(self, written: Future[MadeShard], settled: Future[ShardResult]) -> None:
        """Sync and rename the shard of a finished worker in a thread."""
        if written.cancelled():
            settled.cancel()
        elif error := written.exception():
            settled.set_exception(error)
        else:
            # If the pool has ended in the meantime, the result is not needed.
            with suppress(RuntimeError):
                self._settling.submit(_let_appear, written.result(), settled)

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        return self._counted + self._reached()

    def _reached(self) -> int:
        # Read without the lock: a worker that was killed while it counted holds the lock for ever.
        return self._counter.get_obj().value

    def replace(self) -> None:
        """Start new workers, after one died and the pool ended the rest.

        Raises:
            ConversionFailed: The new workers would die for the same reason.
        """
        self._processes.require_guard()
        self._processes.kill()
        # Shards that were already written are still valid.
        self._settling.shutdown()
        self._settling = _settling(self.workers)
        self._counted += self._reached()
        self._processes, self._counter = self._begin()

    def stop(self) -> None:
        """End every worker at once."""
        self._processes.kill()
        self._settling.shutdown(cancel_futures=True)

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None:
            self._processes.finish()
            self._settling.shutdown()
        else:
            self.stop()


_counter: Synchronized[int] | None = None


def _share(counter: Synchronized[int]) -> None:
    global _counter  # noqa: PLW0603 - a pool's initializer has no other place to put it
    _counter = counter


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
