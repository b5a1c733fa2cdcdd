"""How fast a release becomes shards, against other ways of doing it, in one run.

    python -m tests.benchmarks.convert -n 100000 --repeat 3 --chart convert.png

Every way reads the same zips (a synthetic ``cropped_256``, or with ``--release`` those of a folder
that holds this package and the csv alone), uses two processes, and starts from a
folder that is not there; each is a process of its own, so imports count. Reported are medians, and
their ratios to the floor: two processes that inflate every member, check its CRC-32 and write its
bytes to a plain file.
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bioscan5m_hf.schema.upstream import METADATA_STEM

WORKERS = 2
_QUIET_SECONDS = 2.0


def archives(release: Path) -> list[Path]:
    return sorted(release.glob("*.zip"))


# --------------------------------------------------------------------------- the ways, as functions


def copy(release: Path, output: Path) -> None:
    """Copy the zips, as a measure of the disk."""
    output.mkdir()
    for path in archives(release):
        shutil.copyfile(path, output / path.name)


def unzip(release: Path, output: Path) -> None:
    """Unpack the zips with the standard library, as people do today."""
    for path in archives(release):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(output)


def floor(release: Path, output: Path) -> None:
    """Inflate, check and write plain files, in two processes."""
    jobs = []
    for path in archives(release):
        with zipfile.ZipFile(path) as archive:
            folders = {PurePosixPath(name).parent for name in archive.namelist()}
            for folder in folders:
                (output / folder).mkdir(parents=True, exist_ok=True)
            jobs += [(path, output, worker) for worker in range(WORKERS)]
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        pool.starmap(_unzip, jobs, chunksize=1)


def _unzip(path: Path, output: Path, worker: int) -> None:
    from bioscan5m_hf.release.zip_directory import read_directory
    from bioscan5m_hf.release.zip_member import Member, read_member
    from bioscan5m_hf.storage.local import LocalFile

    with LocalFile(path) as source:
        for block in read_directory(source):
            rows = block.to_pylist()[worker::WORKERS]
            for row in rows:
                if row["name"].endswith("/"):
                    continue
                fields = (row[name] for name in ("offset", "compressed", "size", "crc", "method"))
                (output / row["name"]).write_bytes(read_member(source, Member(*fields)))


def _specimens(release: Path, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """Image and row of each specimen, the way one writes it in an afternoon."""
    with (release / f"{METADATA_STEM}.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["processid"]: row for row in csv.DictReader(file)}
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".jpg"):
                    processid = PurePosixPath(name).stem
                    image = {"bytes": archive.read(name), "path": f"{processid}.jpg"}
                    yield {"image": image, **_typed(rows[processid])}


def _typed(row: dict[str, str]) -> dict[str, Any]:
    from bioscan5m_hf.schema.columns import COLUMNS, Kind

    read = {Kind.STRING: str, Kind.FLOAT: float}
    whole = lambda text: int(float(text))  # noqa: E731
    return {c.name: read.get(c.kind, whole)(row[c.name]) if row[c.name] else None for c in COLUMNS}


def datasets(release: Path, output: Path) -> None:
    """``Dataset.from_generator`` over the zips, then ``to_parquet``, as one writes it."""
    _through_datasets(release, output, [archives(release)])


def datasets_in_two(release: Path, output: Path) -> None:
    """The same with ``num_proc=2``, which takes a generator that knows how to divide its work."""
    _through_datasets(release, output, _halves(archives(release)))


def _through_datasets(release: Path, output: Path, paths: list[list[Path]]) -> None:
    from datasets import Dataset

    from bioscan5m_hf.schema.columns import features

    made = Dataset.from_generator(
        _from_paths,
        features=features(),
        gen_kwargs={"release": [release] * len(paths), "paths": paths},
        num_proc=len(paths) if len(paths) > 1 else None,
        cache_dir=str(output / "cache"),
    )
    made.to_parquet(str(output / "all.parquet"))


def _halves(paths: list[Path]) -> list[list[Path]]:
    """Two lists of about the same size in bytes: the largest archive, and the others."""
    largest = max(paths, key=lambda path: path.stat().st_size)
    return [[largest], [path for path in paths if path != largest]]


def _from_paths(release: list[Path], paths: list[list[Path]]) -> Iterator[dict[str, Any]]:
    for root, some in zip(release, paths, strict=True):
        yield from _specimens(root, some)


def webdataset(release: Path, output: Path) -> None:
    """A ``webdataset.ShardWriter`` loop over the zips, in one process, as it is used."""
    from webdataset import ShardWriter

    output.mkdir()
    pattern = str(output / "%05d.tar")
    with ShardWriter(pattern, maxsize=50e6, verbose=0) as writer:
        for specimen in _specimens(release, archives(release)):
            image = specimen.pop("image")
            writer.write(
                {"__key__": specimen["processid"], "jpg": image["bytes"], "json": specimen}
            )


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "copy": copy,
    "unzip": unzip,
    "floor": floor,
    "datasets": datasets,
    "datasets x 2": datasets_in_two,
    "ShardWriter": webdataset,
}
OURS = ("parquet", "arrow", "webdataset")
"""The ways that are the program itself, by the name of the format."""

MEANINGS = {
    "copy": "copy the zips",
    "unzip": "unpack them in one process",
    "floor": "inflate, check, write plain files",
    "parquet": "bioscan5m convert",
    "arrow": "bioscan5m convert --format arrow",
    "webdataset": "bioscan5m convert --format webdataset",
    "datasets": "Dataset.from_generator + to_parquet",
    "datasets x 2": "the same with num_proc=2",
    "ShardWriter": "webdataset.ShardWriter",
}


# ------------------------------------------------------------------------------------- the run


def command(way: str, release: Path, output: Path) -> list[str]:
    """The command line of one way."""
    if way not in OURS:
        return [sys.executable, "-m", __spec__.name, "--way", way, str(release), str(output)]
    words = ["convert", str(release), "--output", str(output), "--format", way, "--quiet"]
    words += ["--workers", str(WORKERS), "--shard-size", "50MB"]
    return [sys.executable, "-m", "conversion", *words]


def measure(way: str, release: Path, work: Path) -> float:
    """Seconds of one way, as a process of its own, with the disk quiet before it begins."""
    output = work / "output"
    os.sync()
    # A disk goes on for a while with what was removed before.
    time.sleep(_QUIET_SECONDS)
    start = time.perf_counter()
    subprocess.run(
        command(way, release, output),
        check=True,
        capture_output=True,
        env={**os.environ, "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"},
    )
    seconds = time.perf_counter() - start
    shutil.rmtree(output)
    return seconds


def report(seconds: dict[str, list[float]], specimens: int) -> str:
    """The table, as text."""
    medians = {way: statistics.median(found) for way, found in seconds.items()}
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{specimens:,} specimens of cropped_256, {WORKERS} processes, medians")
    for name in ("way", "what it does", "seconds", "ratio to the floor"):
        table.add_column(name, justify="right" if name[:5] in {"secon", "ratio"} else "left")
    for way, median in medians.items():
        ratio = f"{median / medians['floor']:.2f}" if "floor" in medians else "-"
        table.add_row(way, MEANINGS[way], f"{median:.1f}", ratio)
    text = io.StringIO()
    console = Console(file=text, width=120)
    console.print(table)
    for ours, theirs in (
        ("parquet", "datasets"),
        ("parquet", "datasets x 2"),
        ("webdataset", "ShardWriter"),
        ("arrow", "ShardWriter"),
    ):
        if ours in medians and theirs in medians:
            times = medians[theirs] / medians[ours]
            console.print(f"{ours} is {times:.1f} times as fast as {theirs}")
    return text.getvalue()


def chart(seconds: dict[str, list[float]], specimens: int) -> bytes:
    """The medians as bars, as a PNG."""
    from tests.benchmarks.chart import Bar, draw

    medians = {way: statistics.median(found) for way, found in seconds.items()}
    note = f"{specimens:,} specimens of cropped_256, {WORKERS} processes, seconds, medians"
    bars = []
    for way, median in medians.items():
        repeats = seconds[way]
        told = f"{median:.1f} s"
        if len(repeats) > 1:
            told += f" ({min(repeats):.1f} to {max(repeats):.1f})"
        bars.append(Bar(MEANINGS[way], median, told, way in OURS))
    return draw("How long a conversion takes", note, bars)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", dest="specimens", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(MEANINGS), choices=list(MEANINGS))
    parser.add_argument("--release", type=Path, help="measure on this one; -n is its specimens")
    parser.add_argument("--work", type=Path, help="a folder for the release and the output")
    parser.add_argument("--chart", type=Path, help="a PNG to draw the medians in")
    parser.add_argument("--way", nargs=3, metavar=("WAY", "RELEASE", "OUTPUT"), help="run one way")
    options = parser.parse_args()
    if options.way:
        way, *paths = options.way
        WAYS[way](*map(Path, paths))
        return
    # Not at the top: what a way imports counts.
    from conversion.synthetic import SampleOptions, write_sample

    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        release: Path = options.release or work / "release"
        if options.release is None:
            write_sample(
                SampleOptions(
                    release,
                    options.specimens,
                    packages=("cropped_256",),
                    metadata=("csv",),
                    distinct=500,
                )
            )
        seconds: dict[str, list[float]] = {way: [] for way in options.ways}
        for _ in range(options.repeat):
            for way in options.ways:
                seconds[way].append(measure(way, release, work))
                print(f"{way}: {seconds[way][-1]:.1f} s", flush=True)
    print(report(seconds, options.specimens))
    if options.chart:
        options.chart.write_bytes(chart(seconds, options.specimens))


if __name__ == "__main__":
    main()
