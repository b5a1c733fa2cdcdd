"""``bioscan5m sample``: write a synthetic release in upstream's layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from bioscan5m_hf.schema.configurations import package_names
from conversion.cli.console import ConsoleReporter, make_console, make_table
from conversion.cli.parameters import (
    Commands,
    add_command,
    add_packages,
    add_quiet,
    add_workers,
    count,
    packages,
)
from conversion.sizes import readable_size
from conversion.synthetic import SampleOptions, write_sample


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "sample",
        _run,
        "write a synthetic release in upstream's layout",
        [
            "bioscan5m sample RELEASE -n 2000",
            "bioscan5m sample RELEASE -n 100000 --package cropped_256",
        ],
    )
    parser.add_argument("release", type=Path, metavar="RELEASE", help="the folder to write")
    parser.add_argument(
        "-n", dest="specimens", type=count, default=2000, metavar="N", help="specimens (2000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another release (0)")
    add_packages(parser)
    parser.add_argument(
        "--layout",
        choices=("groups", "full", "parts", "folder"),
        default="groups",
        help="a zip for each group of splits (default), one zip, numbered parts, or plain files",
    )
    parser.add_argument(
        "--names",
        choices=("hub", "seed"),
        default="hub",
        help="the names of the zips: BIOSCAN_5M_… as on the Hub (the default), or BIOSCAN_…",
    )
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        choices=("csv", "jsonld", "zip"),
        help="a form of the metadata, may be repeated (default: csv and jsonld)",
    )
    parser.add_argument(
        "--distinct",
        type=count,
        metavar="N",
        help="how many different photographs are drawn at most, the others reuse them (3000)",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="images of a few hundred bytes, for tests of scale"
    )
    add_workers(parser)
    add_quiet(parser)


def _run(options: argparse.Namespace) -> int:
    """Write a synthetic release."""
    reporter = ConsoleReporter(quiet=options.quiet)
    done = 0

    def advance(specimens: int) -> None:
        nonlocal done
        done += specimens
        reporter.reached(done)

    wanted = packages(options)
    sample = SampleOptions(
        root=options.release,
        specimens=options.specimens,
        seed=options.seed,
        packages=wanted or tuple(package_names()),
        layout=options.layout,
        names=options.names,
        metadata=tuple(options.metadata) or ("csv", "jsonld"),
        workers=options.workers,
        tiny=options.tiny,
        distinct=options.distinct,
    )
    reporter.begin(options.specimens, 0, "sampling")
    try:
        summary = write_sample(sample, advance)
    finally:
        reporter.end()
    rows = [(split, f"{count:,}") for split, count in summary.specimens.items()]
    console = make_console()
    console.print(make_table(str(options.release), ("split", "specimens"), rows, right=1))
    images = ", ".join(f"{count:,} {package}" for package, count in summary.images.items())
    console.print(f"{summary.files} files, {readable_size(summary.size)}; images: {images}")
    return 0
