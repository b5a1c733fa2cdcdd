"""How time and memory grow with the specimens, on releases with tiny images.

    python -m tests.benchmarks.scale --specimens 10000 100000 1000000 5150850

Each conversion is a process of its own, with two workers. Its memory is that of all its processes
together: their proportional set sizes (Linux), looked at three times a second, so a page that
several processes share counts once. Reported are the seconds of the whole, those until the first
image was converted, those of the same command on what is finished, and the slope between the
smallest and the largest release.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Form = Literal["csv", "jsonld"]

WORKERS = 2
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class Measured:
    """One conversion: seconds, and bytes of memory."""

    specimens: int
    seconds: float
    before_first: float
    again: float
    peak: int


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for each in found:
        try:
            children = Path(f"/proc/{each}/task/{each}/children").read_text()
        except OSError:
            continue
        found += map(int, children.split())
    return found


def memory(pid: int) -> int:
    """The proportional set size of a process in bytes; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


class Watch(threading.Thread):
    """Looks at the memory of a process and its descendants until the process ends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self._process = process
        self.peak = 0
        self.start()

    def run(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, sum(map(memory, family(self._process.pid))))
            time.sleep(_LOOK_SECONDS)


def convert(release: Path, output: Path) -> tuple[float, float, int]:
    """Seconds of a conversion, seconds before its first image, and its peak of memory."""
    words = ["convert", str(release), "--output", str(output), "--workers", str(WORKERS)]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "conversion", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watch = Watch(process)
        assert process.stderr
        first = 0.0
        for line in process.stderr:
            if line.startswith("converting "):
                first = time.perf_counter() - start
        status = process.wait()
    if status:
        raise SystemExit(f"the conversion ended with status {status}")
    watch.join()
    return time.perf_counter() - start, first, watch.peak


def measure(specimens: int, form: Form, work: Path) -> Measured:
    """Make a release, convert it, and convert it again."""
    from conversion.synthetic import SampleOptions, write_sample

    release, output = work / "release", work / "bioscan-5m"
    options = SampleOptions(
        release, specimens, packages=("cropped_256",), metadata=(form,), tiny=True, workers=WORKERS
    )
    write_sample(options)
    seconds, first, peak = convert(release, output)
    convert(release, output)  # looks at the files once more, and notes their stamps
    again, _, _ = convert(release, output)
    shutil.rmtree(release)
    shutil.rmtree(output)
    return Measured(specimens, seconds, first, again, peak)


def report(found: list[Measured]) -> None:
    """Print the table, and the slope."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"tiny images, {WORKERS} workers")
    for name in ("specimens", "seconds", "before the first image", "again", "peak memory"):
        table.add_column(name, justify="right")
    for each in found:
        numbers = (each.seconds, each.before_first, each.again)
        peak = f"{each.peak / 2**30:.2f} GiB"
        table.add_row(f"{each.specimens:,}", *(f"{number:.1f}" for number in numbers), peak)
    console = Console(width=100)
    console.print(table)
    if len(found) > 1:
        first, last = found[0], found[-1]
        slope = (last.seconds - first.seconds) / (last.specimens - first.specimens)
        console.print(f"{slope * 1e6:.1f} microseconds a specimen")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--metadata", choices=("csv", "jsonld"), default="csv")
    parser.add_argument("--work", type=Path, help="a folder for releases and outputs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        found = [measure(n, options.metadata, Path(folder)) for n in sorted(options.specimens)]
    report(found)


if __name__ == "__main__":
    main()
