"""The workers of a Dask cluster."""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from bioscan5m_hf.errors import ClusterError
from bioscan5m_hf.storage.path import Location, RemotePath, location_of
from conversion.executors.base import WorkerLost
from conversion.executors.dask_scheduler import connect
from conversion.executors.dask_worker import (
    MARKER_NAME,
    Needs,
    StagedTask,
    find_unfit,
    make_staged,
)
from conversion.files.atomic import output_error, sync_folder
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

_CLOSE_SECONDS: Final = 5
_WATCH_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """A Dask cluster to make shards on.

    Attributes:
        address: Of its scheduler, such as ``tcp://host:8786``.
        shards: How many shards are made at a time; ``None`` for as many as its workers have
            threads.
        worker_timeout: How many seconds to wait for a worker where there is none.
    """

    address: str
    shards: int | None = None
    worker_timeout: float = 60.0


class ClusterPool:
    """The workers of a Dask cluster.

    A shard whose worker is lost is given to another one by the cluster's own scheduler, as often
    as that is configured to (``distributed.scheduler.allowed-failures``); only then the task
    fails here.

    Args:
        options: Which cluster, and how much of it.
        work: A folder for what is unfinished, in the dataset folder.
        release: The folder that is read, or the URL of it.
        versions: The packages that decide the bytes of a shard, with their versions.
        say: Told where workers are waited for.

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
        self._watched = time.monotonic()
        self._alone_since: float | None = None
        self._client = connect(options.address)
        with ExitStack() as undo:
            undo.callback(self.stop)
            self._executor = self._client.get_executor(pure=False)
            self._client.subscribe_topic(self._topic, self._hear)
            self._await_workers()
            self._staging.mkdir()
            (self._staging / MARKER_NAME).touch()
            self._require_fit()
            undo.pop_all()

    @property
    def size(self) -> int:
        """How many shards are made at a time: what was asked for, or the threads there are now."""
        return self._options.shards or self._threads

    @property
    def workers(self) -> int:
        """The same: no shard waits for another on a worker."""
        return max(1, self.size)

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
        needs = replace(self._needs, reads=tuple(file for file in files if not _is_url(file)))
        future: Future[ShardResult] = self._executor.submit(
            make_staged, StagedTask(staged, needs, self._topic)
        )
        return future

    def error_of(self, future: Future[ShardResult]) -> BaseException | None:
        """What a future that is done failed with, if it did.

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
            # What is made a second time, on another worker, does not count a second time.
            self._reached[name] = max(images, self._reached.get(name, 0))

    def watch(self) -> None:
        """See that there are workers.

        Raises:
            ClusterError: There have been none for as long as one waits for them, or the scheduler
                is gone.
        """
        now = time.monotonic()
        if now - self._watched < _WATCH_SECONDS:
            return
        self._watched = now
        self._require_scheduler()
        self._count_threads()
        if self._threads:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
            self._tell_of_waiting("has no workers any more")
        elif now - self._alone_since > self._options.worker_timeout:
            raise self._no_workers()

    def replace(self) -> None:
        """Nothing: the workers do not depend on each other."""

    def stop(self) -> None:
        """Cancel every task, and leave the cluster; workers notice when the marker is gone."""
        (self._staging / MARKER_NAME).unlink(missing_ok=True)
        try:
            if self._client.status == "running":
                self._executor.shutdown(wait=False)
        finally:
            self._client.close(timeout=_CLOSE_SECONDS)
            self._clear_staging()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self.stop()

    def _clear_staging(self) -> None:
        """A worker that has not noticed yet may still be writing there."""
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
        """Ask every worker, so that nothing is begun that cannot end well."""
        answers = self._client.run(find_unfit, self._needs, on_error="return")
        for address, found in answers.items():
            if isinstance(found, ImportError):
                raise ClusterError(
                    f"cannot import what makes shards ({found})",
                    where=f"worker {address}",
                    fix="install bioscan5m-hf for the workers too",
                ) from found
            if isinstance(found, ClusterError):
                raise found
            # A worker that has just gone is nobody's fault.
            if isinstance(found, Exception) and not isinstance(found, OSError):
                raise ClusterError(
                    f"fails with {type(found).__name__}: {found}", where=f"worker {address}"
                ) from found

    def _count_threads(self) -> None:
        try:
            self._threads = sum(self._client.nthreads().values())
        except OSError as error:
            raise self._scheduler_lost() from error

    def _require_scheduler(self) -> None:
        if self._client.status != "running":
            raise self._scheduler_lost()

    def _scheduler_lost(self) -> ClusterError:
        return ClusterError(
            "the scheduler is gone",
            where=self._options.address,
            fix="run the same command again to go on, here or on another cluster",
        )


def _absolute(path: str) -> str:
    return path if _is_url(path) else str(Path(path).absolute())


def _is_url(location: str) -> bool:
    return isinstance(location_of(location), RemotePath)
