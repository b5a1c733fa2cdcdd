"""What each format is good at, and other ways of loading: opening, reading, training, disk.

    python -m tests.benchmarks.load --specimens 20000

All folders hold the same synthetic ``cropped_256``. Rows are handed out with images as bytes, not
decoded, so that the ways are compared and not the decoder; what a training loop sees is decoded,
see ``training``. Reported are medians of several runs; the ways take turns, so that all meet the
same machine.

The others are what people use: ``datasets`` without this package, on the same Parquet folder;
``webdataset`` on the same tar shards; LitData, if it is installed; and, as ``bioscan-dataset``
does, the table read by pandas and each image from a file of its own, after the zips were unpacked.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bioscan5m_hf import load_dataset
from bioscan5m_hf.schema.upstream import METADATA_STEM
from conversion.cli.main import main as command_line
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.benchmarks import training
from tests.benchmarks.machine import machine, markdown, spend

FORMATS = ("parquet", "arrow", "webdataset")
RANDOM_ROWS = 2_000
TRAINED_IMAGES = 10_000
PACKAGE, SPLIT = "cropped_256", "pretrain"


@dataclass(frozen=True, slots=True)
class Way:
    """A way of loading.

    Attributes:
        name: What it is called.
        folder: What it reads, for its size.
        stream: Gives the rows in order; takes a folder for caches.
        rows: Gives something that can be asked for a row by its number, if there is such a thing.
        train: Gives batches for training, if it is measured.
    """

    name: str
    folder: Path
    stream: Callable[[Path], Iterable[Any]] | None
    rows: Callable[[Path], Any] | None
    train: Callable[[Path], Iterable[Any]] | None = None


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
    tars = sorted(map(str, folders["webdataset"].glob(f"{SPLIT}-*.tar")))
    images = work / "files" / "bioscan5m" / "images" / PACKAGE / SPLIT
    ways = [
        *(_ours(form, work / form) for form in FORMATS),
        Way(
            "DataLoader over bioscan5m_hf.torch, Parquet",
            folders["parquet"],
            None,
            None,
            lambda cache: training.by_torch(work / "parquet", PACKAGE, SPLIT, cache),
        ),
        Way(
            "datasets",
            folders["parquet"],
            *_by_datasets(work / "parquet"),
            lambda cache: training.by_datasets(work / "parquet", PACKAGE, SPLIT, cache),
        ),
        Way(
            "webdataset",
            folders["webdataset"],
            _by_webdataset(folders["webdataset"]),
            None,
            lambda _: training.by_webdataset(tars),
        ),
        Way(
            "files",
            work / "files",
            *_by_files(work / "files", release),
            lambda _: training.by_files(images),
        ),
    ]
    if importlib.util.find_spec("litdata") is None:
        print("litdata is not installed and is left out; it is there after: pip install litdata")
        return ways
    made = work / "litdata"
    spend(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.convert",
            "--way",
            "litdata",
            str(release),
            str(made),
        ]
    )
    return [*ways, Way("litdata", made, None, None, lambda _: training.by_litdata(made))]


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
        lambda cache: training.by_iter_images(folder, PACKAGE, SPLIT, cache),
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


def opening(way: Way, cache: Path) -> float | None:
    """Seconds until the first row, by its number where that is possible."""
    if way.rows is not None:
        rows = way.rows
        return seconds(lambda: rows(cache)[0])
    if way.stream is not None:
        stream = way.stream
        return seconds(lambda: next(iter(stream(cache))))
    return None


def in_order(way: Way, cache: Path) -> float | None:
    """Rows a second, one split from its first row to its last."""
    if way.stream is None:
        return None
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


def while_training(way: Way, cache: Path) -> float | None:
    """Images a second, as a training loop sees them."""
    return training.rate(way.train(cache), TRAINED_IMAGES) if way.train else None


MEASURES: dict[str, tuple[Callable[[Way, Path], float | None], str]] = {
    "open, s": (opening, ".2f"),
    "rows/s in order": (in_order, ",.0f"),
    "rows/s at random": (at_random, ",.0f"),
    "training, images/s": (while_training, ",.0f"),
}
Found = dict[str, list[float]]


def row_of(way: Way, found: Found) -> list[str]:
    """The cells of one way."""
    size = sum(path.stat().st_size for path in way.folder.rglob("*") if path.is_file())
    cells = [
        format(statistics.median(found[name]), form) if found[name] else "-"
        for name, (_, form) in MEASURES.items()
    ]
    return [way.name, *cells, f"{size / 1e6:,.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", "-n", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=MEASURES, action="append", help="measure nothing else")
    parser.add_argument("--work", type=Path, help="a folder for what is made")
    options = parser.parse_args()
    # Not at the top: it takes a while.
    import datasets

    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        ways = make(work, options.specimens)
        found: dict[str, Found] = {way.name: {name: [] for name in MEASURES} for way in ways}
        for number in range(options.repeat):
            for order, way in enumerate(ways):
                # A cache of its own each time: opening is what happens the first time.
                cache = work / f"cache-{order}-{number}"
                for name, (measure, _) in MEASURES.items():
                    if options.only and name not in options.only:
                        continue
                    if (value := measure(way, cache)) is not None:
                        found[way.name][name].append(value)
        titles = ["way", *MEASURES, "on disk, MB"]
        table = markdown(titles, [row_of(way, found[way.name]) for way in ways])
    print(f"{machine()} {options.specimens:,} specimens of {PACKAGE}.\n\n{table}")


if __name__ == "__main__":
    main()
