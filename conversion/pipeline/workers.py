"""Start the workers that make the shards, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.storage.path import is_in_memory
from conversion.executors.base import Pool
from conversion.executors.local import LocalPool
from conversion.executors.threads import ThreadPool

if TYPE_CHECKING:
    from conversion.pipeline.options import ConvertOptions


def open_pool(options: ConvertOptions) -> Pool | None:
    """Start the workers of this machine.

    Returns:
        The workers; ``None`` if a cluster makes the shards.
    """
    if is_in_memory(options.release):
        # Other processes cannot read files in the memory of this one.
        return ThreadPool(options.threads)
    if options.cluster is not None:
        return None
    return LocalPool(options.threads)


def open_cluster(options: ConvertOptions, work: Path, say: Callable[[str], None]) -> Pool:
    """Connect to the workers of a cluster.

    Raises:
        MissingDependency: ``dask.distributed`` is not installed.
        ClusterError: The cluster does not answer, has no workers, or has unfit workers.
    """
    # Not at the top: these are rarely needed.
    from conversion.derive.recipe import versions
    from conversion.executors.dask import ClusterPool
    from conversion.planning.packages import libraries

    assert options.cluster is not None
    deciding = {"bioscan5m-hf": version("bioscan5m-hf")} | libraries()
    deciding |= versions() if options.derive is not None else {}
    return ClusterPool(options.cluster, work, options.release, deciding, say)
