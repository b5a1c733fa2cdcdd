"""What a conversion costs, against other ways of doing it, in one run.

    python -m tests.benchmarks.convert --specimens 100000 400000 --repeat 3 --chart convert.png

Every way reads the same zips (a synthetic ``cropped_256``), uses two processes where it can, and
starts from a folder that is not there; each is a process of its own, so imports count. Reported
are medians: seconds of the clock and of processors, and their ratio to the floor; what each
further image costs, the difference between the smallest and the largest release; images and plain
megabytes a second. The floor is the least that any way has to do: two processes that list the
members, inflate them with libdeflate, check their CRC-32 and append them to one file each.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import multiprocessing
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from bioscan5m_hf.schema.upstream import METADATA_STEM
from tests.benchmarks.machine import Spent, machine, markdown, spend

WORKERS = 2
_QUIET_SECONDS = 2.0
_HEADER_ROOM = 222


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
    """List, inflate, check and append, in two processes."""
    output.mkdir()
    # Forked, as it costs least: nothing is imported anew.
    context = multiprocessing.get_context("fork")
    found = [
        context.Process(target=_append, args=(archives(release), output / str(number), number))
        for number in range(WORKERS)
    ]
    for process in found:
        process.start()
    for process in found:
        process.join()
    if any(process.exitcode for process in found):
        raise SystemExit("a process of the floor failed")


def _append(paths: list[Path], output: Path, worker: int) -> None:
    from bioscan5m_hf.release.inflate import crc32, inflate
    from bioscan5m_hf.release.zip_directory import DEFLATED, read_directory
    from bioscan5m_hf.storage.local import LocalFile

    header = struct.Struct("<26xHH")
    with output.open("wb", buffering=1 << 20) as out:
        for path in paths:
            with LocalFile(path) as source:
                for block in read_directory(source):
                    share = block.num_rows // WORKERS + 1
                    mine = block.slice(worker * share, share)
                    names = ("offset", "compressed", "size", "crc", "method")
                    for offset, compressed, size, crc, method in zip(
                        *(mine[name].to_numpy().tolist() for name in names), strict=True
                    ):
                        if not size:
                            continue
                        assert method == DEFLATED
                        data = source.read_at(offset, compressed + _HEADER_ROOM)
                        start = 30 + sum(header.unpack_from(data))
                        plain = inflate(memoryview(data)[start : start + compressed], size)
                        assert crc32(plain) == crc
                        out.write(plain)


def plain_bytes(release: Path) -> int:
    """The plain bytes of all images."""
    from bioscan5m_hf.release.zip_directory import read_directory
    from bioscan5m_hf.storage.local import LocalFile

    total = 0
    for path in archives(release):
        with LocalFile(path) as source:
            total += sum(int(block["size"].to_numpy().sum()) for block in read_directory(source))
    return total


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


def litdata(release: Path, output: Path) -> None:
    """``litdata.optimize`` in two processes, each with its own archives."""
    from litdata import optimize

    halves = [(str(release), [str(path) for path in half]) for half in _halves(archives(release))]
    optimize(
        _lit_samples,
        halves,
        output_dir=str(output),
        num_workers=WORKERS,
        chunk_bytes="50MB",
        start_method="fork",
        verbose=False,
    )


def _lit_samples(given: tuple[str, list[str]]) -> Iterator[dict[str, Any]]:
    release, paths = given
    for specimen in _specimens(Path(release), list(map(Path, paths))):
        image = specimen.pop("image")["bytes"]
        yield {"image": image, "row": json.dumps(specimen)}


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "copy": copy,
    "unzip": unzip,
    "floor": floor,
    "datasets": datasets,
    "datasets x 2": datasets_in_two,
    "ShardWriter": webdataset,
    "litdata": litdata,
}
OURS = ("parquet", "arrow", "webdataset")
"""The ways that are the program itself, by the name of the format."""

MEANINGS = {
    "copy": "copy the zips",
    "unzip": "unpack them in one process",
    "floor": "list, inflate, check, append",
    "parquet": "bioscan5m convert",
    "arrow": "bioscan5m convert --format arrow",
    "webdataset": "bioscan5m convert --format webdataset",
    "datasets": "Dataset.from_generator + to_parquet",
    "datasets x 2": "the same with num_proc=2",
    "ShardWriter": "webdataset.ShardWriter",
    "litdata": "litdata.optimize",
}


# ------------------------------------------------------------------------------------- the run


def command(way: str, release: Path, output: Path) -> list[str]:
    """The command line of one way."""
    if way not in OURS:
        return [sys.executable, "-m", __spec__.name, "--way", way, str(release), str(output)]
    words = ["convert", str(release), "--output", str(output), "--format", way, "--quiet"]
    words += ["--workers", str(WORKERS), "--shard-size", "50MB"]
    return [sys.executable, "-m", "conversion", *words]


def measure(way: str, release: Path, work: Path) -> Spent:
    """The cost of one way, as a process of its own, with the disk quiet before it begins."""
    output = work / "output"
    os.sync()
    # A disk goes on for a while with what was removed before.
    time.sleep(_QUIET_SECONDS)
    spent = spend(command(way, release, output))
    shutil.rmtree(output)
    return spent


Found = dict[str, list[Spent]]
"""For each way what it cost, run by run."""


def _median(spent: list[Spent]) -> Spent:
    walls, processors = [each.wall for each in spent], [each.processor for each in spent]
    return Spent(statistics.median(walls), statistics.median(processors))


def report(found: dict[int, Found], megabytes: dict[int, float]) -> str:
    """The table, as Markdown."""
    counts = sorted(found)
    medians = {n: {way: _median(spent) for way, spent in found[n].items()} for n in counts}
    titles = ["way"]
    for count in counts:
        told = f"{count:,}:"
        titles += [f"{told} s", "processor s", "x floor", "images/s", "MB/s"]
    if len(counts) > 1:
        titles += ["further image: us", "processor us", "x floor", "x floor, processor"]
    rows = [_row(way, medians, megabytes, counts) for way in medians[counts[0]]]
    return markdown(titles, rows)


def _row(
    way: str, medians: dict[int, dict[str, Spent]], megabytes: dict[int, float], counts: list[int]
) -> list[str]:
    cells = [MEANINGS[way]]
    for count in counts:
        spent, least = medians[count][way], medians[count].get("floor")
        cells += [
            f"{spent.wall:.2f}",
            f"{spent.processor:.2f}",
            f"{spent.wall / least.wall:.2f}" if least else "-",
            f"{count / spent.wall:,.0f}",
            f"{megabytes[count] / spent.wall:,.0f}",
        ]
    if len(counts) > 1:
        wall, processor = _further(way, medians, counts)
        cells += [f"{wall:.1f}", f"{processor:.1f}", "-", "-"]
        if "floor" in medians[counts[0]]:
            least_wall, least_processor = _further("floor", medians, counts)
            cells[-2:] = [f"{wall / least_wall:.2f}", f"{processor / least_processor:.2f}"]
    return cells


def _further(
    way: str, medians: dict[int, dict[str, Spent]], counts: list[int]
) -> tuple[float, float]:
    """Microseconds of each further image, of the clock and of processors."""
    first, last = medians[counts[0]][way], medians[counts[-1]][way]
    images = (counts[-1] - counts[0]) / 1e6
    return (last.wall - first.wall) / images, (last.processor - first.processor) / images


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
    parser.add_argument("--specimens", "-n", type=int, nargs="+", default=[100_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(MEANINGS), choices=list(MEANINGS))
    parser.add_argument("--work", type=Path, help="a folder for the releases and the output")
    parser.add_argument("--chart", type=Path, help="a PNG to draw the medians of the smallest in")
    parser.add_argument("--way", nargs=3, metavar=("WAY", "RELEASE", "OUTPUT"), help="run one way")
    options = parser.parse_args()
    if options.way:
        way, *paths = options.way
        WAYS[way](*map(Path, paths))
        return
    ways = list(options.ways)
    if "litdata" in ways and importlib.util.find_spec("litdata") is None:
        print("litdata is not installed and is left out; it is there after: pip install litdata")
        ways.remove("litdata")
    # Not at the top: what a way imports counts.
    from conversion.synthetic.options import SampleOptions
    from conversion.synthetic.release import write_sample

    found: dict[int, Found] = {}
    megabytes: dict[int, float] = {}
    for specimens in sorted(options.specimens):
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            release = Path(folder) / "release"
            write_sample(
                SampleOptions(
                    release,
                    specimens,
                    packages=("cropped_256",),
                    metadata=("csv",),
                    distinct=500,
                )
            )
            megabytes[specimens] = plain_bytes(release) / 1e6
            found[specimens] = {way: [] for way in ways}
            for _ in range(options.repeat):
                for way in ways:
                    spent = measure(way, release, Path(folder))
                    found[specimens][way].append(spent)
                    told = f"{spent.wall:.2f} s, {spent.processor:.2f} s of processors"
                    print(f"{specimens:,}, {way}: {told}", flush=True)
    print(f"\n{machine()}\n\n{report(found, megabytes)}")
    if options.chart:
        first = min(found)
        seconds = {way: [each.wall for each in spent] for way, spent in found[first].items()}
        options.chart.write_bytes(chart(seconds, first))


if __name__ == "__main__":
    main()
