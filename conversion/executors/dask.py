"""Make shards on the workers of a Dask cluster."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from bioscan5m_hf.errors import ClusterError, UnfitWorker
from bioscan5m_hf.storage.disk import output_error
from bioscan5m_hf.storage.path import Location, is_remote
from conversion.executors.base import Pool, WorkerLost
from conversion.executors.dask_scheduler import connect
from conversion.executors.dask_worker import (
    MARKER_NAME,
    Needs,
    StagedTask,
    find_unfit,
    make_staged,
)
from conversion.files.atomic import sync_folder
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

_CLOSE_SECONDS: Final = 5
_WATCH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1
_ASKED_PER_THREAD: Final = 2
_IMPORT_ERRORS: Final = ("ModuleNotFoundError(", "ImportError(")


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """A Dask cluster to make shards on.

    Attributes:
        address: The address of its scheduler, such as ``tcp://host:8786``.
        shards: How many shards are made at a time; ``None`` for as many as its workers have
            threads.
        worker_timeout: How many seconds to wait for a worker while there is none.
    """

    address: str
    shards: int | None = None
    worker_timeout: float = 60.0


class ClusterPool(Pool):
    """The workers of a Dask cluster.

    When a worker is lost, the scheduler gives its shard to another worker, as often as
    ``distributed.scheduler.allowed-failures`` allows. Only then does the task fail here. Workers
    may join and leave during the run. An unfit worker that joins later is not used. By default,
    more tasks are submitted than the workers have threads, so that an adaptive cluster grows.

    Args:
        options: Which cluster, and how many shards at a time.
        work: The folder for unfinished files, in the dataset folder.
        release: The folder of the release, or its URL.
        versions: The packages that decide the bytes of a shard, with their versions.
        say: Called with a message when the pool waits for workers or excludes one.

    Raises:
        MissingDependency: ``dask.distributed`` is not installed.
        ClusterError: The scheduler does not answer, or a worker is missing or unfit.
    """

    def __init__(
        self,
        options: ClusterOptions,
        work: Path,
        release: Location,
        versions: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._say = say
        self._topic = f"bioscan5m-{uuid.uuid4().hex}"
        self._staging = (work / uuid.uuid4().hex).absolute()
        reads = (str(release.absolute()),) if isinstance(release, Path) else ()
        self._needs = Needs(str(self._staging), reads, tuple(versions.items()))
        self._reached: dict[str, int] = {}
        self._lock = threading.Lock()
        self._threads = 0
        self._fit: set[str] = set()
        self._unfit: set[str] = set()
        self._present: set[str] = set()
        self._wanted: object = None
        self._watched = time.monotonic()
        self._alone_since: float | None = None
        self._client = connect(options.address)
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._executors = [self._client.get_executor(pure=False)]
            self._client.subscribe_topic(self._topic, self._hear)
            self._await_workers()
            self._staging.mkdir()
            (self._staging / MARKER_NAME).touch()
            self._require_fit()
            self._count_threads()
            undo.pop_all()

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        staged = replace(
            task,
            folder=str(self._staging),
            members=_absolute(task.members),
            rows=_absolute(task.rows),
            sources=tuple(_absolute(source) for source in task.sources),
        )
        files = (staged.members, staged.rows, *staged.sources)
        needs = replace(self._needs, reads=tuple(file for file in files if not is_remote(file)))
        future: Future[ShardResult] = self._executors[-1].submit(
            make_staged, StagedTask(staged, needs, self._topic)
        )
        return future

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """Return the error of a done future, or ``None`` if it succeeded.

        Raises:
            ClusterError: The scheduler is gone.
        """
        from distributed.scheduler import KilledWorker

        if future.cancelled():
            self._require_scheduler()
            return WorkerLost("its task being cancelled on the cluster")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return WorkerLost(
                f"{error.allowed_failures + 1} workers being lost over it, the last of them "
                f"{error.last_worker.address} (out of memory?)"
            )
        if isinstance(error, UnfitWorker):
            self._leave_out(str(error.where).removeprefix("worker "), error)
            return WorkerLost(f"a worker that is not fit: {error}")
        return error

    def accept(self, task: ShardTask, result: ShardResult) -> ShardResult:
        """Move a finished shard from the staging folder to its final name.

        Raises:
            OutputError: It cannot be moved.
        """
        with self._lock:
            self._reached[task.shard.name("")] = result.rows
        if result.written is not None:
            staged = replace(task, folder=str(self._staging)).path
            try:
                final = task.final_path()
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
                sync_folder(task.path.parent)
            except OSError as error:
                raise output_error(error, task.path) from error
        return result

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        with self._lock:
            return sum(self._reached.values())

    def _hear(self, event: tuple[float, dict[str, Any]]) -> None:
        name, images = event[1]["shard"], event[1]["images"]
        with self._lock:
            # A shard that is made again on another worker is counted once.
            self._reached[name] = max(images, self._reached.get(name, 0))

    def watch(self) -> None:
        """Check that there are workers.

        Raises:
            ClusterError: There was no worker for ``worker_timeout`` seconds, or the scheduler is
                gone.
        """
        now = time.monotonic()
        if now - self._watched < _WATCH_SECONDS:
            return
        self._watched = now
        self._require_scheduler()
        self._count_threads()
        self._look_at_new_workers()
        if self._threads:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            self._tell_of_waiting("has no workers any more")
        elif now - self._alone_since > self._options.worker_timeout:
            raise self._no_workers()

    def stop(self) -> None:
        """Cancel every task, and leave the cluster; workers notice when the marker is gone."""
        (self._staging / MARKER_NAME).unlink(missing_ok=True)
        try:
            if self._client.status == "running":
                for executor in self._executors:
                    executor.shutdown(wait=False)
        finally:
            self._client.close(timeout=_CLOSE_SECONDS)
            self._clear_staging()

    def _clear_staging(self) -> None:
        """Remove the staging folder, again and again while workers may still write there."""
        until = time.monotonic() + _CLOSE_SECONDS
        while self._staging.exists() and time.monotonic() < until:
            shutil.rmtree(self._staging, ignore_errors=True)
            if self._staging.exists():
                time.sleep(_POLL_SECONDS)

    # ----------------------------------------------------------------------------- the workers

    def _await_workers(self) -> None:
        began = time.monotonic()
        self._count_threads()
        if not self._threads:
            self._tell_of_waiting("has no workers")
            # An adaptive cluster starts workers only when there are tasks.
            self._wanted = self._client.submit(os.getpid, pure=False)
        while not self._threads:
            if time.monotonic() - began > self._options.worker_timeout:
                raise self._no_workers()
            time.sleep(_POLL_SECONDS)
            self._require_scheduler()
            self._count_threads()

    def _tell_of_waiting(self, found: str) -> None:
        self._say(
            f"the scheduler at {self._options.address} {found}; waiting for one, up to "
            f"{self._options.worker_timeout:g} s"
        )

    def _no_workers(self) -> ClusterError:
        return ClusterError(
            f"there was no worker for {self._options.worker_timeout:g} s",
            where=self._options.address,
            fix=f"start one with: dask worker {self._options.address} --nthreads 1, or wait longer "
            "with --worker-timeout",
        )

    def _require_fit(self) -> None:
        """Check every worker before the first task is submitted."""
        for error in self._ask(None):
            raise error

    def _ask(self, workers: list[str] | None) -> Iterator[UnfitWorker]:
        """Check all workers, or those given, and yield an error for each unfit one."""
        answers = self._client.run(find_unfit, self._needs, workers=workers, on_error="return")
        for address, found in answers.items():
            if isinstance(found, UnfitWorker):
                yield found
            elif _is_import_error(found):
                yield UnfitWorker(
                    f"cannot import what makes shards ({found})",
                    where=f"worker {address}",
                    fix="install bioscan5m-hf for the workers too",
                )
            # An OSError means that the worker has just left, which is not an error.
            elif isinstance(found, Exception) and not isinstance(found, OSError):
                yield UnfitWorker(
                    f"fails with {type(found).__name__}: {found}", where=f"worker {address}"
                )
            elif found is None:
                self._fit.add(address)

    def _look_at_new_workers(self) -> None:
        """Exclude unfit workers that joined later, without ending the run."""
        new = self._present - self._fit - self._unfit
        if new:
            for error in self._ask(sorted(new)):
                self._leave_out(str(error.where).removeprefix("worker "), error)
            self._count_threads()
            if self._unfit:
                self._restrict()

    def _leave_out(self, address: str, error: UnfitWorker) -> None:
        if address not in self._unfit:
            self._unfit.add(address)
            self._fit.discard(address)
            self._say(f"left out: {error}")
            self._restrict()

    def _restrict(self) -> None:
        """Submit tasks to fit workers only from now on."""
        restricted = self._client.get_executor(pure=False, workers=sorted(self._fit))
        self._executors.append(restricted)

    def _count_threads(self) -> None:
        try:
            threads = self._client.nthreads()
        except OSError as error:
            raise self._scheduler_lost() from error
        self._present = set(threads)
        self._threads = sum(n for address, n in threads.items() if address not in self._unfit)
        wanted = self._options.shards
        # Some tasks wait while others run, so that an adaptive cluster starts more workers.
        self.size = wanted or _ASKED_PER_THREAD * max(1, self._threads)
        self.workers = max(1, wanted or self._threads)

    def _require_scheduler(self) -> None:
        if self._client.status != "running":
            raise self._scheduler_lost()

    def _scheduler_lost(self) -> ClusterError:
        return ClusterError(
            "the scheduler is gone",
            where=self._options.address,
            fix="run the same command again to go on, here or on another cluster",
        )


def _is_import_error(found: object) -> bool:
    # An error that Dask cannot serialise comes back as an Exception with its text.
    return isinstance(found, ImportError) or (
        isinstance(found, Exception) and str(found).startswith(_IMPORT_ERRORS)
    )


def _absolute(path: str) -> str:
    return path if is_remote(path) else str(Path(path).absolute())
