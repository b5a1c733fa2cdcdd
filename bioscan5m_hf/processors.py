"""Count the processors that this process may use, by the limits of system, Slurm and container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_SLURM: Final = "SLURM_CPUS_PER_TASK"
_OWN_GROUPS: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")


def processors() -> int:
    """How many processors this process may use, at least one.

    The smallest of three limits counts: the processors on which the system lets the process run,
    those that Slurm gave to the task, and the quota of the control group, which containers have.
    """
    # macOS and Windows do not report on which processors a process may run.
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [len(affinity(0)) if affinity else os.cpu_count() or 1]
    given = os.environ.get(_SLURM, "")
    if given.isdecimal():
        limits.append(int(given))
    limits += (math.ceil(quota) for quota in _quotas(_OWN_GROUPS, _GROUPS))
    return max(1, min(limits))


def _quotas(own: Path, groups: Path) -> Iterator[float]:
    """The processors that control groups (versions 1 and 2) allow this process."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / "cpu" if controllers else groups
        group = PurePosixPath(name.lstrip("/"))
        # Parent groups limit their subgroups. In a container, the name may be that on the host, so
        # the group itself may not exist.
        for above in (group, *group.parents):
            quota = _read_first(root / above / "cpu.cfs_quota_us", root / above / "cpu.max")
            period = _read_first(root / above / "cpu.cfs_period_us")
            numbers = [*quota, *period][:2]
            if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
                yield int(numbers[0]) / max(1, int(numbers[1]))


def _read_first(*files: Path) -> list[str]:
    """The words of the first file that can be read."""
    for file in files:
        try:
            return file.read_text().split()
        except OSError:
            continue
    return []
