"""What each format is good at, and other ways of loading: opening, reading, bytes on disk.

    python -m tests.benchmarks.load -n 20000

All folders hold the same synthetic ``cropped_256``. Images are handed out as bytes, not decoded,
so that the ways are compared and not the decoder. Reported are medians of several runs; the ways
take turns, so that all meet the same machine.

The others are what people use: ``datasets`` without this package, on the same Parquet folder;
``webdataset`` on the same tar shards; and, as ``bioscan-dataset`` does, the table read by pandas
and each image from a file of its own, after the zips were unpacked.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from bioscan5m_hf import load_dataset
from bioscan5m_hf.schema.upstream import METADATA_STEM
from conversion.cli.main import main as command_line
from conversion.synthetic import SampleOptions, write_sample

FORMATS = ("parquet", "arrow", "webdataset")
RANDOM_ROWS = 2_000
PACKAGE, SPLIT = "cropped_256", "pretrain"


@dataclass(frozen=True, slots=True)
class Way:
    """A way of loading.

    Attributes:
        name: What it is called.
        folder: What it reads, for its size.
        stream: Gives the rows in order; takes a folder for caches.
        rows: Gives something that can be asked for a row by its number, if there is such a thing.
    """

    name: str
    folder: Path
    stream: Callable[[Path], Iterable[Any]]
    rows: Callable[[Path], Any] | None


def make(work: Path, specimens: int) -> list[Way]:
    """One release, converted into each format, and unpacked."""
    release = work / "release"
    write_sample(
        SampleOptions(release, specimens, packages=(PACKAGE,), metadata=("csv",), distinct=500)
    )
    for form in FORMATS:
        words = ["convert", str(release), "--output", str(work / form), "--format", form]
        if command_line([*words, "--quiet", "--shard-size", "50MB"]):
            raise SystemExit(1)
    for path in release.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(work / "files")
    folders = {form: work / form / PACKAGE for form in FORMATS}
    return [
        *(_ours(form, work / form) for form in FORMATS),
        Way("datasets", folders["parquet"], *_by_datasets(work / "parquet")),
        Way("webdataset", folders["webdataset"], _by_webdataset(folders["webdataset"]), None),
        Way("files", work / "files", *_by_files(work / "files", release)),
    ]


def undecoded(rows: Any) -> Any:
    from datasets import Image

    return rows.cast_column("image", Image(decode=False))


def _ours(form: str, folder: Path) -> Way:
    def loaded(cache: Path, *, streaming: bool) -> Any:
        return undecoded(
            load_dataset(folder, PACKAGE, split=SPLIT, streaming=streaming, cache_dir=str(cache))
        )

    # Tar shards cannot be asked for a number.
    numbered = None if form == "webdataset" else lambda cache: loaded(cache, streaming=False)
    return Way(
        f"bioscan5m_hf, {form}",
        folder / PACKAGE,
        lambda cache: loaded(cache, streaming=True),
        numbered,
    )


def _by_datasets(folder: Path) -> tuple[Callable[[Path], Any], Callable[[Path], Any]]:
    import datasets

    def loaded(cache: Path, *, streaming: bool) -> Any:
        rows = datasets.load_dataset(
            str(folder), PACKAGE, split=SPLIT, streaming=streaming, cache_dir=str(cache)
        )
        return undecoded(rows)

    return (
        lambda cache: loaded(cache, streaming=True),
        lambda cache: loaded(cache, streaming=False),
    )


def _by_webdataset(folder: Path) -> Callable[[Path], Iterable[Any]]:
    from webdataset import WebDataset

    shards = sorted(map(str, folder.glob(f"{SPLIT}-*.tar")))

    def stream(_cache: Path) -> Iterable[Any]:
        for sample in WebDataset(shards, shardshuffle=False):
            yield {"image": sample["jpg"], **json.loads(sample["json"])}

    return stream


class _Files:
    """The table in memory, each image in a file of its own."""

    def __init__(self, folder: Path, release: Path) -> None:
        table = pd.read_csv(release / f"{METADATA_STEM}.csv", low_memory=False)
        table = table[table["split"] == SPLIT]
        images = folder / "bioscan5m" / "images" / PACKAGE / SPLIT
        self._paths = (str(images) + "/" + table["chunk"] + "/" + table["processid"] + ".jpg").array
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, number: int) -> dict[str, Any]:
        image = Path(self._paths[number]).read_bytes()
        return {"image": image, **self._table.iloc[number]}


def _by_files(
    folder: Path, release: Path
) -> tuple[Callable[[Path], Iterable[Any]], Callable[[Path], Any]]:
    def stream(_cache: Path) -> Iterable[Any]:
        files = _Files(folder, release)
        return (files[number] for number in range(len(files)))

    return stream, lambda _cache: _Files(folder, release)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def opening(way: Way, cache: Path) -> float:
    """Seconds until the first row, by its number where that is possible."""
    if way.rows is None:
        return seconds(lambda: next(iter(way.stream(cache))))
    rows = way.rows
    return seconds(lambda: rows(cache)[0])


def in_order(way: Way, cache: Path) -> float:
    """Rows a second, one split from its first row to its last."""
    rows = way.stream(cache)
    count = 0

    def read() -> None:
        nonlocal count
        for _ in rows:
            count += 1

    return (1 / seconds(read)) * count


def at_random(way: Way, cache: Path) -> float | None:
    """Rows a second, by their number."""
    if way.rows is None:
        return None
    rows = way.rows(cache)
    wanted = random.Random(0).sample(range(len(rows)), min(RANDOM_ROWS, len(rows)))
    return len(wanted) / seconds(lambda: [rows[number] for number in wanted])


def row_of(way: Way, found: dict[str, list[float]]) -> list[str]:
    """The cells of one way."""
    size = sum(path.stat().st_size for path in way.folder.rglob("*") if path.is_file())
    at_once = found["at random"]
    return [
        way.name,
        f"{statistics.median(found['open']):.2f} s",
        f"{statistics.median(found['in order']):,.0f}",
        f"{statistics.median(at_once):,.0f}" if at_once else "-",
        f"{size / 1e6:,.0f} MB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="specimens", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--work", type=Path, help="a folder for what is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        ways = make(work, options.specimens)
        found: dict[str, dict[str, list[float]]] = {
            way.name: {"open": [], "in order": [], "at random": []} for way in ways
        }
        for number in range(options.repeat):
            for order, way in enumerate(ways):
                # A cache of its own each time: opening is what happens the first time.
                cache = work / f"cache-{order}-{number}"
                numbers = found[way.name]
                numbers["open"].append(opening(way, cache))
                numbers["in order"].append(in_order(way, cache))
                if (rate := at_random(way, cache)) is not None:
                    numbers["at random"].append(rate)
        table = Table(title=f"{options.specimens:,} specimens of {PACKAGE}")
        for name in ("way", "open", "rows/s in order", "rows/s at random", "on disk"):
            table.add_column(name, justify="left" if name == "way" else "right")
        for way in ways:
            table.add_row(*row_of(way, found[way.name]))
        text = io.StringIO()
        Console(file=text, width=100).print(table)
    print(text.getvalue())


if __name__ == "__main__":
    main()
