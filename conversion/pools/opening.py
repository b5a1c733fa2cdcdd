"""Choose where the shards of a conversion are made."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.remote import is_in_memory
from conversion.derive.recipe import versions
from conversion.package_plan import libraries
from conversion.pools.base import Pool
from conversion.pools.local import LocalPool
from conversion.pools.threads import ThreadPool

if TYPE_CHECKING:
    from conversion.convert import ConvertOptions


def open_pool(options: ConvertOptions, work: Path, say: Callable[[str], None]) -> Pool:
    """Start the workers, or find those of a cluster.

    Args:
        options: What to convert, and how.
        work: A folder for what is unfinished, in the dataset folder.
        say: Told what the user should know.

    Raises:
        MissingDependency: A cluster is asked for, and the library for it is not installed.
        ClusterError: It does not answer, has no workers, or has some that are unfit.
    """
    if is_in_memory(options.release):
        # Other processes would not see what lies in the memory of this one.
        return ThreadPool(options.workers)
    if options.cluster is None:
        return LocalPool(options.workers)
    # Not at the top: it is seldom needed.
    from conversion.pools.cluster import ClusterPool

    deciding = {"bioscan5m-hf": version("bioscan5m-hf")} | libraries()
    deciding |= versions() if options.derive else {}
    return ClusterPool(options.cluster, work, options.release, deciding, say)
