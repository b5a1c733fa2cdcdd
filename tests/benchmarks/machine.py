"""What benchmarks share: the machine in words, a Markdown table, the cost of a command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioscan5m_hf.processors import processors


@dataclass(frozen=True)
class Spent:
    """What a command took.

    Attributes:
        wall: Seconds of the clock.
        processor: Seconds of processors, of the command and of all processes that it started.
    """

    wall: float
    processor: float


def machine() -> str:
    """The machine, as a sentence."""
    model = platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processors()} processors ({model}), {memory:.0f} GiB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}."
    )


def markdown(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: the first column is text, the others are numbers.

    Args:
        titles: The names of the columns.
        rows: The cells.
    """
    rule = ["---", *("---:" for _ in titles[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (titles, rule, *rows))


def spend(words: Sequence[str]) -> Spent:
    """Run a command to its end.

    Args:
        words: The command line; what it prints is shown only where it fails.
    """
    quiet = {**os.environ, "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    with tempfile.TemporaryFile() as told:
        start = time.perf_counter()
        process = subprocess.Popen(words, stdout=told, stderr=told, env=quiet)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            sys.stderr.write(told.read().decode(errors="replace"))
            raise SystemExit(f"{words[-3:]} ended with status {process.returncode}")
    return Spent(wall, usage.ru_utime + usage.ru_stime)
