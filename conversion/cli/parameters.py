"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.columns import SPLITS, Split, split_named
from bioscan5m_hf.schema.configurations import package_named, package_names
from bioscan5m_hf.storage.path import location_of
from conversion.sizes import parse_size

_LONGEST: Final = 16

Commands = argparse._SubParsersAction


def add_command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    """Add a command to the command line.

    Args:
        commands: Where it is added.
        name: Its name.
        run: What it does; returns the exit status.
        summary: One line about it, beginning with a verb.
        examples: Whole commands for its help.
    """
    shown = "\n".join(f"  {example}" for example in examples)
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_release(parser: argparse.ArgumentParser) -> None:
    """Add the folder of a release."""
    parser.add_argument(
        "release",
        type=location_of,
        metavar="RELEASE",
        help="the folder that holds upstream's files, or its URL, such as "
        "hf://datasets/user/name, https://host/folder or s3://bucket/folder",
    )


def add_packages(parser: argparse.ArgumentParser, *, default: str = "all") -> None:
    """Add ``--package``, which may be repeated.

    Args:
        parser: Where it is added.
        default: What stands in its place where it is not given, for the help.
    """
    parser.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a package, may be repeated (default: {default}; {', '.join(package_names())})",
    )


def add_splits(parser: argparse.ArgumentParser) -> None:
    """Add ``--split``, which may be repeated."""
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="NAME",
        help="a split, may be repeated (default: all that are found; "
        f"{', '.join(split.name for split in SPLITS)})",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--workers``."""
    parser.add_argument(
        "--workers",
        type=count,
        default=processors(),
        metavar="N",
        help="how many processes work at a time (default: the processors that may be used)",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress")


def packages(options: argparse.Namespace) -> tuple[str, ...]:
    """The packages that were asked for, under their own names.

    Raises:
        UnknownName: One of them does not exist.
    """
    return tuple(dict.fromkeys(package_named(name).name for name in options.package))


def splits(options: argparse.Namespace) -> tuple[Split, ...]:
    """The splits that were asked for.

    Raises:
        UnknownName: One of them does not exist.
    """
    return tuple(dict.fromkeys(split_named(name) for name in options.split))


def count(text: str) -> int:
    """Read a whole number above zero."""
    if not (text.isdecimal() and len(text) < _LONGEST and int(text)):
        raise argparse.ArgumentTypeError(f"{text[:_LONGEST]!r} is not a whole number above zero")
    return int(text)


def size(text: str) -> int:
    """Read a size in bytes, such as 500MB (decimal) or 1GiB (binary)."""
    try:
        return parse_size(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
