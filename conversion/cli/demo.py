"""``bioscan5m demo``: sample, convert, verify and load, all in one."""

from __future__ import annotations

import argparse
from pathlib import Path

from conversion.cli.console import make_console
from conversion.cli.parameters import Commands, add_command, add_workers


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "demo",
        _run,
        "sample, convert, verify and load, all in one",
        ["bioscan5m demo", "bioscan5m demo --output /tmp/demo"],
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bioscan5m-demo"),
        metavar="DIR",
        help="the folder to write (./bioscan5m-demo); an earlier demo in it is replaced",
    )
    add_workers(parser)


def _run(options: argparse.Namespace) -> int:
    """The whole way on a small synthetic release."""
    from conversion.demo import demo

    demo(options.output, workers=options.workers, console=make_console())
    return 0
