"""Streaming from far away: requests, bytes and seconds to the first row, and of a whole split.

    python -m tests.benchmarks.latency --specimens 20000 --delay 0.1

A web server on this machine answers each request after the delay, as a server across an ocean does.
What is streamed is the same synthetic ``cropped_256``: the raw release, and folders made from it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bioscan5m_hf import load_dataset
from conversion.cli.main import main as command_line
from conversion.sizes import readable_size
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.benchmarks.machine import machine, markdown
from tests.reading.range_server import Served, serve

PACKAGE: Final = "cropped_256"
FORMATS: Final = ("parquet", "arrow", "webdataset")
RAW: Final = "raw release"
AGAIN: Final = "raw release, once more"
LISTED: Final = "raw release, from a server that lists folders"
TITLES: Final = ("what", "requests", "bytes", "first row", "all requests", "all bytes", "all rows")


@dataclass(frozen=True)
class Streamed:
    """What it took to stream a split.

    Attributes:
        first: Requests, bytes and seconds until the first row was there.
        whole: The same until all were.
    """

    first: tuple[int, int, float]
    whole: tuple[int, int, float]

    def cells(self) -> list[str]:
        """The figures, as a table shows them."""
        found: list[str] = []
        for requests, sent, seconds in (self.first, self.whole):
            found += [f"{requests:,}", readable_size(sent), f"{seconds:.1f} s"]
        return found


def stream(served: Served, name: str, split: str, cache: Path) -> Streamed:
    """Stream a split from a server.

    Args:
        served: The server.
        name: The folder on it.
        split: The split.
        cache: Where indexes are kept.
    """
    served.traffic.forget()
    start = time.perf_counter()

    def reached() -> tuple[int, int, float]:
        seconds = time.perf_counter() - start
        return len(served.traffic.requests), served.traffic.sent(), seconds

    rows = iter(
        load_dataset(f"{served.url}/{name}", PACKAGE, split=split, streaming=True, cache_dir=cache)
    )
    next(rows)
    first = reached()
    for _ in rows:
        pass
    return Streamed(first, reached())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--specimens", type=int, default=20_000)
    parser.add_argument("--delay", type=float, default=0.1)
    parser.add_argument("--split", default="validation")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        # Few photographs are drawn: how long they take is not what is measured.
        sample = SampleOptions(root / RAW, given.specimens, packages=(PACKAGE,), distinct=100)
        write_sample(sample)
        for name in FORMATS:
            words = ["convert", str(root / RAW), "--output", str(root / name), "--format", name]
            assert command_line([*words, "--quiet"]) == 0
        # What is imported once is not what is measured.
        list(load_dataset(root / "parquet", PACKAGE, split="test", streaming=True))
        rows: list[list[str]] = []
        for names, lists in (((RAW, AGAIN, *FORMATS), False), ((LISTED,), True)):
            with serve(root, delay=given.delay, lists=lists) as served:
                for name in names:
                    folder = name if name in FORMATS else RAW
                    found = stream(served, folder, given.split, root / f"cache-{lists}")
                    rows.append([name, *found.cells()])
    print(f"{given.specimens:,} specimens, {given.split}, {given.delay * 1000:.0f} ms. {machine()}")
    print(markdown(TITLES, rows))


if __name__ == "__main__":
    main()
