"""How time, memory and disk grow with the specimens, on releases with tiny images.

    python -m tests.benchmarks.scale --specimens 100000 1000000 5150850
    python -m tests.benchmarks.scale --specimens 5150850 --metadata jsonld
    python -m tests.benchmarks.scale --specimens 5150850 --release FULL --rate 60

Each conversion is a process of its own, with two workers. Its memory is that of all its processes
together: their proportional set sizes (Linux), looked at three times a second, so a page that
several processes share counts once. Reported for each release are the seconds until the first
image is converted, and those of all processors until then; the most memory; the bytes of temporary
files then, beside those of the metadata; the seconds of the whole; those until a conversion that
was killed goes on, and those of the same command on what is finished; and the serial part, in
which one worker of many would have work: what comes before the first image and after the last one.

With ``--rate``, the plain megabytes that one worker makes a second (``benchmarks.convert`` shows
those of two), Amdahl's limit for 16 workers on the real release of 39 GB is told for the largest.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bioscan5m_hf.schema.upstream import METADATA_STEM
from tests.benchmarks.machine import machine, markdown

Form = Literal["csv", "jsonld"]

PACKAGE = "cropped_256"
WORKERS = 2
REAL_MEGABYTES = 39_000
MANY = 16
_LOOK_SECONDS = 0.3
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Converted:
    """One conversion: seconds, and bytes.

    Attributes:
        seconds: From its start to its end.
        before_first: From its start until the first image is converted.
        processor: Of all processors until then.
        after_last: From the last image until its end.
        peak: Memory.
        temporary: Files in its folder when the first image is converted.
    """

    seconds: float
    before_first: float
    processor: float
    after_last: float
    peak: int
    temporary: int


@dataclass(frozen=True)
class Measured:
    """A release, and what its conversions took."""

    specimens: int
    metadata: int
    whole: Converted
    resumed: float
    again: float

    @property
    def serial(self) -> float:
        """Seconds in which more workers are of no use."""
        return self.whole.before_first + self.whole.after_last


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
    """Looks at the memory of a process and its descendants until the process ends.

    Args:
        process: The process, which leads a group.
        doomed: It is killed as soon as there is something in this folder.
    """

    def __init__(self, process: subprocess.Popen[str], doomed: Path | None) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._doomed = doomed
        self.peak = 0
        self.start()

    def run(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, sum(map(memory, family(self._process.pid))))
            if self._doomed and any(self._doomed.glob("*.parquet")):
                os.killpg(self._process.pid, signal.SIGKILL)
            time.sleep(_LOOK_SECONDS)


def spent(pid: int) -> float:
    """Seconds of processors of a process, and of those of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def held_bytes(folder: Path) -> int:
    """The bytes of all files in a folder."""
    found = (Path(top, name) for top, _, names in os.walk(folder) for name in names)
    return sum(path.stat().st_size for path in found)


def _is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def convert(release: Path, output: Path, *, kill: bool = False) -> Converted:
    """Convert a release.

    Args:
        release: The release.
        output: The dataset folder.
        kill: Kill it as soon as there is a shard.
    """
    words = ["convert", str(release), "--output", str(output), "--workers", str(WORKERS)]
    shards = output / PACKAGE
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "conversion", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        watch = Watch(process, shards if kill else None)
        assert process.stderr
        first = processor = 0.0
        temporary = 0
        for line in process.stderr:
            if line.startswith("converting "):
                first = time.perf_counter() - start
                processor = sum(map(spent, family(process.pid)))
                temporary = held_bytes(output)
        status = process.wait()
        # Its workers hold the lock of the folder until they are gone too.
        while kill and _is_there(process.pid):
            time.sleep(_LOOK_SECONDS)
    if status and not kill:
        raise SystemExit(f"the conversion ended with status {status}")
    watch.join()
    seconds = time.perf_counter() - start
    after = time.time() - max((path.stat().st_mtime for path in shards.iterdir()), default=0.0)
    return Converted(seconds, first, processor, after, watch.peak, temporary)


def measure(specimens: int, form: Form, work: Path, release: Path | None) -> Measured:
    """Make a release, and convert it: whole, again, and after it was killed."""
    from conversion.synthetic.options import SampleOptions
    from conversion.synthetic.release import write_sample

    made = work / "release"
    if release is None:
        options = SampleOptions(
            made, specimens, packages=(PACKAGE,), metadata=(form,), tiny=True, workers=WORKERS
        )
        write_sample(options)
    given = release or made
    output = work / "bioscan-5m"
    whole = convert(given, output)
    convert(given, output)  # looks at the files once more, and notes their stamps
    again = convert(given, output).seconds
    shutil.rmtree(output)
    convert(given, output, kill=True)
    resumed = convert(given, output).before_first
    shutil.rmtree(output)
    metadata = sum(
        path.stat().st_size for path in given.glob(f"{METADATA_STEM}*") if path.suffix != ".zip"
    )
    if release is None:
        shutil.rmtree(made)
    return Measured(specimens, metadata, whole, resumed, again)


TITLES = (
    "specimens",
    "before the first image, s",
    "of processors, s",
    "peak memory, GiB",
    "temporary files, GB",
    "metadata, GB",
    "whole, s",
    "killed, then resumed, s",
    "finished, again, s",
    "serial part, s",
)


def report(found: list[Measured]) -> str:
    """The table, as Markdown, and what each further specimen takes."""
    rows = [
        [
            f"{each.specimens:,}",
            f"{each.whole.before_first:.1f}",
            f"{each.whole.processor:.1f}",
            f"{each.whole.peak / 2**30:.2f}",
            f"{each.whole.temporary / 1e9:.2f}",
            f"{each.metadata / 1e9:.2f}",
            f"{each.whole.seconds:.1f}",
            f"{each.resumed:.1f}",
            f"{each.again:.1f}",
            f"{each.serial:.1f}",
        ]
        for each in found
    ]
    told = markdown(TITLES, rows)
    if len(found) > 1:
        first, last = found[0], found[-1]
        slope = last.whole.seconds - first.whole.seconds
        slope /= last.specimens - first.specimens
        told += f"\n\n{slope * 1e6:.1f} microseconds a specimen."
    return told


def amdahl(serial: float, rate: float) -> str:
    """How much faster many workers can be than one, on the real release.

    Args:
        serial: The seconds of the serial part.
        rate: Plain megabytes a second of one worker.
    """
    shared = REAL_MEGABYTES / rate
    alone, many = serial + shared, serial + shared / MANY
    return (
        f"{REAL_MEGABYTES / 1000:.0f} GB: {alone:,.0f} s with one worker, {many:,.0f} s with "
        f"{MANY}, {alone / many:.1f} times as fast; {alone / serial:.0f} times at most."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--metadata", choices=("csv", "jsonld"), default="csv")
    parser.add_argument("--release", type=Path, help="one that is there, of so many specimens")
    parser.add_argument("--rate", type=float, help="plain megabytes a second of one worker")
    parser.add_argument("--work", type=Path, help="a folder for releases and outputs")
    options = parser.parse_args()
    if options.release and len(options.specimens) != 1:
        parser.error("--release wants the number of its specimens")
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        found = [
            measure(specimens, options.metadata, Path(folder), options.release)
            for specimens in sorted(options.specimens)
        ]
    print(f"{machine()} Tiny images, {WORKERS} workers, {options.metadata}.\n\n{report(found)}")
    if options.rate:
        print(f"\n{amdahl(found[-1].serial, options.rate)}")


if __name__ == "__main__":
    main()
