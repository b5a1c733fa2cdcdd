"""The command line: ``bioscan5m …``."""

from __future__ import annotations

import argparse
import gc
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Final

from bioscan5m_hf.errors import BioscanError
from conversion.executors.start import spare_effort, spare_pandas, worker_context

COMMANDS: Final = (
    "download",
    "inspect",
    "convert",
    "verify",
    "card",
    "publish",
    "export",
    "sample",
    "demo",
)
"""The commands, in the order of the help; each is a module of ``conversion.cli``."""

_WITH_WORKERS: Final = ("verify", "sample", "demo")
_SIGNALS: Final = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "the terminal is gone",
}
_ENDED_BY_SIGNAL: Final = 128


def program() -> int:
    """Run the command of this process; what is installed as ``bioscan5m``."""
    _open_streams()
    status = _watched(lambda: _run(sys.argv[1:], prepare=True))
    # What is done stays done, whoever interrupts it now; what failed may still be ended at once.
    for number in _heard():
        signal.signal(number, signal.SIG_DFL if status else signal.SIG_IGN)
    # A process that ends would look through all that it holds for garbage.
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words of the command line, without the program's name.

    Returns:
        0 where it is done, 1 where the data is bad or the work failed, 2 for wrong usage, 130
        where it was interrupted, 143 and 129 where it was told to end or lost its terminal.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return _watched(lambda: _run(words))


def _open_streams() -> None:
    """Let standard streams that are closed lead nowhere, and let any text be written to the others.

    A file that is opened would get the number of a closed stream, and what is printed with it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _watched(command: Callable[[], int]) -> int:
    _signals.clear()
    with _interruptible():
        return command()


def _heard() -> list[signal.Signals]:
    """The signals that end this process; a job in the background is deaf to some of them."""
    return [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def _interruptible() -> Iterator[None]:
    """In the block, what asks this process to end interrupts the command, and not after it."""
    before = [(number, signal.signal(number, _interrupt)) for number in _heard()]
    try:
        yield
    finally:
        for number, handler in before:
            # None is what somebody else than Python does, which cannot be had back.
            signal.signal(number, handler or signal.SIG_DFL)


def _run(words: Sequence[str], *, prepare: bool = False) -> int:
    try:
        if prepare:
            spare_effort()
            if words and words[0] in _WITH_WORKERS:
                worker_context()
            spare_pandas()
        named = [word for word in words[:1] if word in COMMANDS]
        options = build_parser(named or COMMANDS).parse_args(words)
        run: Callable[[argparse.Namespace], int] = options.run
        status = run(options)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - raised again if nobody foresaw it
        # A library that is interrupted may make an error of its own of it.
        if not (_signals or isinstance(error, KeyboardInterrupt)):
            return _explain(error)
        # Who asks once more does not want to wait for a line.
        for number in _heard():
            signal.signal(number, signal.SIG_DFL)
        number = signal.Signals(_signals[0]) if _signals else signal.SIGINT
        _print_error(f"{_SIGNALS[number]}; run the same command again to go on")
        return _ENDED_BY_SIGNAL + number
    return status


def _explain(error: BaseException) -> int:
    """Say what went wrong in a line; an error that nobody foresaw is raised again."""
    if isinstance(error, BioscanError):
        _print_error(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        if isinstance(error, BrokenPipeError) and _nobody_reads(sys.stdout.fileno()):
            # The reader of a pipe has seen enough.
            _drop_output()
            return 0
        # What the system refuses at a place that no room expects it: a folder, a link, a lock.
        place = f"{error.filename}: " if error.filename else ""
        _print_error(f"{place}{error.strerror or error}")
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return 1
    raise error


def _drop_output() -> None:
    """What is still buffered has nowhere to go, and would fail once more as the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(message: str) -> None:
    # Not at the top: every worker imports this module, and shows nothing.
    from conversion.cli.console import print_error

    print_error(message)


_signals: list[int] = []


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _signals.append(number)
    raise KeyboardInterrupt


def _nobody_reads(descriptor: int) -> bool:
    """Whether the other end of a pipe was closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poll.poll(0))


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        names: The commands that it shall know; each is imported, which takes a while.
    """
    parser = argparse.ArgumentParser(
        prog="bioscan5m",
        description="Make BIOSCAN-5M usable with Hugging Face datasets in one line.",
        epilog="Begin with: bioscan5m demo",
    )
    parser.add_argument("--version", action=_ShowVersion)
    added = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in names:
        import_module(f"conversion.cli.{name}").add(added)
    return parser


class _ShowVersion(argparse.Action):
    """Print the version; it is looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"bioscan5m {version('bioscan5m-hf')}")  # noqa: T201
        parser.exit()
