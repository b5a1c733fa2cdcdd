"""``bioscan5m sample``: write a synthetic release in upstream's layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from conversion.commands.options import (
    Commands,
    add_command,
    add_packages,
    add_quiet,
    add_workers,
    count,
    packages,
)
from conversion.console import ConsoleReporter, make_console, make_table, readable_size
from conversion.sample import SampleOptions, write_sample


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

    reporter.begin(options.specimens, 0, "sampling")
    try:
        summary = write_sample(
            SampleOptions(
                root=options.release,
                specimens=options.specimens,
                seed=options.seed,
                **({"packages": packages(options)} if options.package else {}),
                layout=options.layout,
                names=options.names,
                workers=options.workers,
                tiny=options.tiny,
            ),
            advance,
        )
    finally:
        reporter.end()
    rows = [(str(path), readable_size(size)) for path, size in summary.files]
    make_console().print(make_table(str(options.release), ("file", "size"), rows, right=1))
    return 0
