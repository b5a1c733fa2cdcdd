"""Run on a worker of a Dask cluster: check that it is fit, make shards in a staging folder.

A worker that lost its connection to the cluster may continue with a shard that is no longer
needed. So a worker never writes to the final path of a shard. It writes to the staging folder of
one run, and stops when the marker file of that run is gone. The conversion itself moves finished
shards to their final paths.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import ClusterError, UnfitWorker
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult, make_shard

if TYPE_CHECKING:
    from distributed import Worker

MARKER_NAME: Final = "running"
_TELL_SECONDS: Final = 0.5
# On a network file system, a new file may become visible to other machines only after a delay.
_PATIENCE_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Needs:
    """The paths and package versions that a worker must share with the conversion.

    Attributes:
        staging: The staging folder of this run, where workers write; it holds the marker file.
        reads: Files and folders that the worker must be able to read.
        versions: The packages that decide the bytes of a shard, with their versions.
    """

    staging: str
    reads: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StagedTask:
    """A task for a worker.

    Attributes:
        task: The shard, with absolute paths and the staging folder as its dataset folder.
        needs: The requirements for the worker.
        topic: The Dask topic of the progress events.
    """

    task: ShardTask
    needs: Needs
    topic: str


def version_of(package: str) -> str:
    """The version of an installed package, or ``none``."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def require_fit(needs: Needs, address: str) -> None:
    """Check that this worker has the same package versions, and access to the files.

    Raises:
        UnfitWorker: It does not.
    """
    where = f"worker {address}"
    others = [
        f"{package} is {found} there and {wanted} here"
        for package, wanted in needs.versions
        if (found := version_of(package)) != wanted
    ]
    if others:
        raise UnfitWorker(
            f"{'; '.join(others)}, and shards would differ",
            where=where,
            fix="install the same versions for the workers and for this command",
        )
    marker = Path(needs.staging) / MARKER_NAME
    until = time.monotonic() + _PATIENCE_SECONDS
    while not marker.exists() and time.monotonic() < until:
        time.sleep(_POLL_SECONDS)
    fix = "put release and output on a file system that all workers share, under the same path"
    if not marker.exists():
        output = marker.parent.parent.parent.parent
        raise UnfitWorker(f"does not see the output folder {output}", where=where, fix=fix)
    if not os.access(needs.staging, os.W_OK | os.X_OK):
        raise UnfitWorker(f"may not write to {needs.staging}", where=where, fix=fix)
    for path in needs.reads:
        if not os.access(path, os.R_OK):
            raise UnfitWorker(f"does not see {path}", where=where, fix=fix)


async def find_unfit(needs: Needs, dask_worker: Worker) -> UnfitWorker | None:
    """Return the reason why this worker is unfit, if it is; for ``Client.run``.

    The check runs in a thread, so that the worker still answers the scheduler.

    Args:
        needs: The requirements.
        dask_worker: The worker; ``Client.run`` passes it.
    """
    try:
        await asyncio.to_thread(require_fit, needs, dask_worker.address)
    except UnfitWorker as error:
        return error
    return None


def make_staged(staged: StagedTask) -> ShardResult:
    """Make one shard in the staging folder, and report progress.

    Raises:
        UnfitWorker: This worker is not fit.
        ClusterError: The run is over.
        BioscanError: See ``make_shard``.
    """
    from distributed import get_worker

    worker = get_worker()
    require_fit(staged.needs, worker.address)
    staging = Path(staged.needs.staging)
    marker = staging / MARKER_NAME
    name = staged.task.shard.name("")
    done = 0
    last_report = float("-inf")

    def on_images(images: int, _bytes: int) -> None:
        nonlocal done, last_report
        if not marker.exists():
            raise ClusterError("the conversion is over", where=str(staging))
        done += images
        now = time.monotonic()
        if now - last_report >= _TELL_SECONDS:
            last_report = now
            worker.log_event(staged.topic, {"shard": name, "images": done})

    try:
        return make_shard(staged.task, on_images)
    finally:
        if not marker.exists():
            # The conversion has ended, so it will not remove what this worker wrote afterwards.
            shutil.rmtree(staging, ignore_errors=True)
