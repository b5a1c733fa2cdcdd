"""The command line: ``bioscan5m …``."""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import BioscanError, TooLittleMemory, UsageError
from bioscan5m_hf.memory import is_no_memory
from conversion.interruption import SIGNALS, asked, heard, interruptible, settle
from conversion.memory import require_room

_COMPLETE: Final = "_BIOSCAN5M_COMPLETE"
_WITH_WORKERS: Final = ("verify", "sample", "demo")
# What these have done is not done again; all others begin anew.
_GOING_ON: Final = ("download", "convert", "publish", "demo")
_ENDED_BY_SIGNAL: Final = 128
_NO_MEMORY: Final = (
    "there is not enough memory; use fewer --workers, or run it where a process may have more"
)


def program() -> int:
    """Run the command of this process; what is installed as ``bioscan5m``."""
    _open_streams()
    status = _watched(lambda: _run(sys.argv[1:], prepare=True))
    # What is done stays done, whoever interrupts it now; what failed may still be ended at once.
    for number in heard():
        signal.signal(number, signal.SIG_DFL if status else signal.SIG_IGN)
    # A process that ends would look through all that it holds for garbage.
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

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
    with interruptible():
        return command()


def _run(words: Sequence[str], *, prepare: bool = False) -> int:
    try:
        status = _command_line(words, _prepare if prepare else None)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - raised again if nobody foresaw it
        # A library that is interrupted may make an error of its own of it.
        if not (asked or isinstance(error, KeyboardInterrupt)):
            return _explain(error)
        settle()
        # Who asks once more does not want to wait for a line.
        for number in heard():
            signal.signal(number, signal.SIG_DFL)
        number = signal.Signals(asked[0]) if asked else signal.SIGINT
        if sys.stderr.isatty():
            # The terminal shows ^C where the cursor is.
            sys.stderr.write("\n")
        goes_on = words[:1] and words[0] in _GOING_ON
        then = "run the same command again to go on" if goes_on else "the same command begins anew"
        _print_error(f"{SIGNALS[number]}; {then}")
        return _ENDED_BY_SIGNAL + number
    return status


def _prepare(name: str) -> None:
    """Make this process ready for a command; before what it needs is imported."""
    require_room()
    if name in _WITH_WORKERS:
        _require_place()
    # Not at the top: whoever wants the help only does not want to wait.
    from conversion.executors.start import spare_effort, spare_pandas, worker_context

    spare_effort()
    if name in _WITH_WORKERS:
        worker_context()
    spare_pandas()


def _require_place() -> None:
    """See that the folder in which this process stands is there.

    Raises:
        UsageError: It was removed, and Python starts no process from there.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder was removed, and no process starts there",
            fix="change to another folder",
        ) from error


def _command_line(words: Sequence[str], prepare: Callable[[str], None] | None) -> int:
    # Not at the top: every worker imports this module, and reads no words.
    import click

    from conversion.cli.command import NAME, Commands

    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(Commands(), {}, NAME, _COMPLETE, instruction)
    try:
        with Commands().make_context(NAME, [*words] or ["--help"], obj=prepare) as context:
            return int(context.command.invoke(context) or 0)
    except click.exceptions.Exit as end:
        # What was asked for has been shown: the help, or the version.
        return end.exit_code
    except click.UsageError as error:
        from conversion.cli.usage import told

        _print_error(told(error))
        if error.ctx:
            usage = error.ctx.command.get_usage(error.ctx)
            sys.stderr.write(f"{usage}\nSee: {error.ctx.command_path} --help\n")
        return UsageError.exit_status


def _explain(error: BaseException) -> int:
    """Say what went wrong in a line; an error that nobody foresaw is raised again."""
    if isinstance(error, TooLittleMemory) or is_no_memory(error):
        told = str(error) if isinstance(error, TooLittleMemory) else _NO_MEMORY
        # What shows other errors may have no room either.
        sys.stderr.write(f"bioscan5m: error: {told}\n")
        return TooLittleMemory.exit_status
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


def _nobody_reads(descriptor: int) -> bool:
    """Whether the other end of a pipe was closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poll.poll(0))
