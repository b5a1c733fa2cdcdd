"""What each format is good at: opening, reading in order, reading at random, bytes on disk.

    python -m tests.benchmarks.load -n 20000

All folders hold the same synthetic ``cropped_256``. Images are handed out as bytes, not decoded,
so that the formats are compared and not the decoder. Reported are medians of several runs.
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bioscan5m_hf import load_dataset
from conversion.cli import main as command_line
from conversion.sample import SampleOptions, write_sample

FORMATS = ("parquet", "arrow", "webdataset")
RANDOM_ROWS = 2_000


def make(work: Path, specimens: int) -> dict[str, Path]:
    """One release, converted into each format."""
    release = work / "release"
    write_sample(
        SampleOptions(
            release, specimens, packages=("cropped_256",), metadata=("csv",), distinct=500
        )
    )
    folders = {form: work / form for form in FORMATS}
    for form, folder in folders.items():
        words = ["convert", str(release), "--output", str(folder), "--format", form, "--quiet"]
        if command_line([*words, "--shard-size", "50MB"]):
            raise SystemExit(1)
    return folders


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def undecoded(rows: Any) -> Any:
    from datasets import Image

    return rows.cast_column("image", Image(decode=False))


def open_folder(folder: Path, cache: Path) -> Any:
    """What has to happen before any row can be asked for by its number, or the first in order."""
    streaming = folder.name == "webdataset"
    rows = load_dataset(
        folder, "cropped_256", split="pretrain", streaming=streaming, cache_dir=str(cache)
    )
    return next(iter(rows)) if streaming else rows[0]


def in_order(folder: Path, cache: Path) -> float:
    """Rows a second, streaming one split."""
    rows = undecoded(
        load_dataset(folder, "cropped_256", split="pretrain", streaming=True, cache_dir=str(cache))
    )
    count = 0

    def read() -> None:
        nonlocal count
        for _ in rows:
            count += 1

    return (1 / seconds(read)) * count


def at_random(folder: Path, cache: Path) -> float | None:
    """Rows a second, by their number; tar shards cannot be asked for a number."""
    if folder.name == "webdataset":
        return None
    rows = undecoded(load_dataset(folder, "cropped_256", split="pretrain", cache_dir=str(cache)))
    wanted = random.Random(0).sample(range(len(rows)), min(RANDOM_ROWS, len(rows)))
    return len(wanted) / seconds(lambda: [rows[number] for number in wanted])


def measure(folder: Path, work: Path, repeat: int) -> Iterator[str]:
    """The cells of one format."""
    opening = []
    for number in range(repeat):
        cache = work / f"cache-{folder.name}-{number}"
        opening.append(seconds(lambda cache=cache: open_folder(folder, cache)))  # type: ignore[misc]
    yield f"{statistics.median(opening):.2f} s"
    cache = work / f"cache-{folder.name}-0"
    yield f"{statistics.median(in_order(folder, cache) for _ in range(repeat)):,.0f}"
    found = [at_random(folder, cache) for _ in range(repeat)]
    yield f"{statistics.median(f for f in found if f):,.0f}" if found[0] else "-"
    size = sum(path.stat().st_size for path in (folder / "cropped_256").iterdir())
    yield f"{size / 1e6:,.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="specimens", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", type=Path, help="a folder for what is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        table = Table(title=f"{options.specimens:,} specimens of cropped_256")
        for name in ("format", "open", "rows/s in order", "rows/s at random", "on disk"):
            table.add_column(name, justify="left" if name == "format" else "right")
        for form, path in make(work, options.specimens).items():
            table.add_row(form, *measure(path, work, options.repeat))
        text = io.StringIO()
        Console(file=text, width=100).print(table)
    print(text.getvalue())


if __name__ == "__main__":
    main()
