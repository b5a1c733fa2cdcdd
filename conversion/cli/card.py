"""``bioscan5m card``: write the card of a dataset folder anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from conversion.cli.console import ConsoleReporter, make_console
from conversion.cli.parameters import Commands, add_command


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "card",
        _run,
        "write card, pictures and notebook of a dataset folder anew",
        ["bioscan5m card bioscan-5m", "bioscan5m card bioscan-5m --name user/bioscan-5m"],
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset folder")
    parser.add_argument(
        "--name",
        metavar="REPO_ID",
        help="what its examples load: the repository, as user/name (default: as before)",
    )


def _run(options: argparse.Namespace) -> int:
    """Write what a dataset folder shows of itself."""
    from conversion.card.presentation import present

    manifest = present(options.folder, options.name, ConsoleReporter().say)
    console = make_console()
    for name in sorted(manifest.extras):
        console.print(str(options.folder / name))
    return 0
