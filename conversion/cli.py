"""The command line: ``bioscan5m …``."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from types import FrameType
from typing import Final

from bioscan5m_hf.errors import BioscanError
from conversion.console import print_error

_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words of the command line, without the program's name.

    Returns:
        0 where it is done, 1 where the data is bad or the work failed, 2 for wrong usage, 130
        where it was interrupted.
    """
    _signals.clear()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        options = build_parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        status = run(options)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - raised again if nobody foresaw it
        # A library that is interrupted may make an error of its own of it.
        if not (_signals or isinstance(error, KeyboardInterrupt)):
            return _explain(error)
        print_error("interrupted; run the same command again to go on")
        return _INTERRUPTED
    return status


def _explain(error: BaseException) -> int:
    """Say what went wrong in a line; an error that nobody foresaw is raised again."""
    if isinstance(error, BioscanError):
        print_error(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        if isinstance(error, BrokenPipeError) and _nobody_reads(sys.stdout.fileno()):
            # The reader of a pipe has seen enough; what is still buffered has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        # What the system refuses at a place that no room expects it: a folder, a link, a lock.
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}{error.strerror or error}")
        return 1
    raise error


_signals: list[int] = []


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _signals.append(number)
    raise KeyboardInterrupt


def _nobody_reads(descriptor: int) -> bool:
    """Whether the other end of a pipe was closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poll.poll(0))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    # Not at the top: every worker process imports this module again, and needs none of it.
    from conversion.commands import card, convert, demo, download, inspect, publish, sample, verify

    parser = argparse.ArgumentParser(
        prog="bioscan5m",
        description="Make BIOSCAN-5M usable with Hugging Face datasets in one line.",
        epilog="Begin with: bioscan5m demo",
    )
    parser.add_argument(
        "--version", action="version", version=f"bioscan5m {version('bioscan5m-hf')}"
    )
    added = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (download, inspect, convert, verify, card, publish, sample, demo):
        command.add(added)
    return parser
