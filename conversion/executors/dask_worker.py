"""Run on a worker of a Dask cluster: check that it is fit, make shards in a staging folder.

A worker that was cut off from its cluster may go on with a shard that nobody waits for any more.
So no worker ever writes below a final name: it writes to the staging folder of one run, and stops
when that run's marker is gone. Final names are given by the conversion itself.
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
# A network file system may show a new file to another machine only after a while.
_PATIENCE_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Needs:
    """What a worker must have in common with the conversion.

    Attributes:
        staging: The folder of this run, below which workers write; it holds the marker.
        reads: Files and folders that must be there.
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
        needs: What the worker must have.
        topic: The topic of the events that tell of progress.
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
    """See that this worker would make the shards that are wanted.

    Raises:
        UnfitWorker: It would not.
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
    """Why this worker cannot help, if so; for ``Client.run``.

    Args:
        needs: What it must have.
        dask_worker: The worker, which ``Client.run`` fills in; it keeps on answering meanwhile.
    """
    try:
        await asyncio.to_thread(require_fit, needs, dask_worker.address)
    except UnfitWorker as error:
        return error
    return None


def make_staged(staged: StagedTask) -> ShardResult:
    """Make one shard below the staging folder, and tell of progress.

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
    told = float("-inf")

    def on_images(images: int, _bytes: int) -> None:
        nonlocal done, told
        if not marker.exists():
            raise ClusterError("the conversion is over", where=str(staging))
        done += images
        now = time.monotonic()
        if now - told >= _TELL_SECONDS:
            told = now
            worker.log_event(staged.topic, {"shard": name, "images": done})

    try:
        return make_shard(staged.task, on_images)
    finally:
        if not marker.exists():
            # Nobody else is going to clear away what a worker wrote after the end.
            shutil.rmtree(staging, ignore_errors=True)
