"""``iter_images`` against iterating over the same stream of ``datasets``, which decodes one by one.

    python -m tests.benchmarks.pixels --threads 2

Both take turns, so that whatever else the machine does falls on both. Reported are medians, in
microseconds an image, of the clock and of the processor, and the ratios of the medians. The ratio
of the clock is what a user gains; that of the processor, times the threads, is what an idle
machine would give at best.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
from rich.console import Console
from rich.table import Table

from bioscan5m_hf import iter_images, load_dataset
from conversion.cli.main import main as command_line
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample

CASES: tuple[tuple[str, int | None], ...] = (("cropped_256", None), ("original_full", 256))


def make(work: Path, specimens: int) -> Path:
    """Both packages as Parquet."""
    packages = tuple(package for package, _ in CASES)
    write_sample(SampleOptions(work / "release", specimens, packages=packages, metadata=("csv",)))
    words = ["convert", str(work / "release"), "--output", str(work / "bioscan-5m"), "--quiet"]
    if command_line(words):
        raise SystemExit(1)
    return work / "bioscan-5m"


def one_by_one(rows: Any) -> Iterator[int]:
    for row in rows:
        assert row["image"].size
        yield 1


def in_batches(rows: Any, threads: int, size: int | None) -> Iterator[int]:
    for batch in iter_images(rows, threads=threads, size=size):
        yield len(batch["image"])


def cost(images: Iterator[int]) -> tuple[float, float]:
    """Microseconds an image: of the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    count = sum(images)
    return (time.perf_counter() - clock) / count * 1e6, (
        time.process_time() - processor
    ) / count * 1e6


def medians(costs: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(c for c, _ in costs), statistics.median(p for _, p in costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="specimens", type=int, default=2_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", type=Path, help="a folder for what is made")
    options = parser.parse_args()
    datasets.disable_progress_bars()
    table = Table(title=f"microseconds an image, {options.threads} threads")
    for name in ("package", "datasets", "iter_images", "ratio", "processor", "", "ratio"):
        table.add_column(name, justify="left" if name == "package" else "right")
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        root = make(work, options.specimens)
        for package, size in CASES:
            rows = load_dataset(
                root, package, split="pretrain", streaming=True, cache_dir=str(work / "cache")
            )
            theirs, ours = [], []
            for _ in range(options.repeat):
                theirs.append(cost(one_by_one(rows)))
                ours.append(cost(in_batches(rows, options.threads, size)))
            (clock, processor), (our_clock, our_processor) = medians(theirs), medians(ours)
            table.add_row(
                package if size is None else f"{package} at {size}",
                *(f"{clock:,.0f}", f"{our_clock:,.0f}", f"{clock / our_clock:.2f}"),
                *(f"{processor:,.0f}", f"{our_processor:,.0f}", f"{processor / our_processor:.2f}"),
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
