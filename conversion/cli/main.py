"""Run the command line, ``bioscan5m …``, and turn errors and signals into exit codes."""

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
from conversion.interruption import SIGNALS, asked, heeded_signals, interruptible, settle
from conversion.memory import require_room

_COMPLETE: Final = "_BIOSCAN5M_COMPLETE"
_WITH_WORKERS: Final = ("verify", "sample", "demo")
# These commands continue their work when they are run again; all others start from the beginning.
_GOING_ON: Final = ("download", "convert", "publish", "demo")
_ENDED_BY_SIGNAL: Final = 128
_NO_MEMORY: Final = (
    "there is not enough memory; use fewer --workers, or run it where a process may have more"
)


def program() -> int:
    """Run the command of this process; installed as ``bioscan5m``."""
    # Outside the command, Python would answer an interruption with a traceback.
    for number in heeded_signals():
        signal.signal(number, signal.SIG_DFL)
    _open_streams()
    status = _watched(lambda: _run(sys.argv[1:], prepare=True))
    # An interruption can no longer change a success, and may end a failed command at once.
    for number in heeded_signals():
        signal.signal(number, signal.SIG_DFL if status else signal.SIG_IGN)
    # Otherwise Python would run a garbage collection over all objects when it exits.
    gc.freeze()
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 if it succeeded, 1 if the data is bad or the work failed, 2 for wrong usage, 130 if it was
        interrupted, 143 if it was terminated, and 129 if it lost its terminal.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return _watched(lambda: _run(words))


def _open_streams() -> None:
    """Open closed standard streams on the null device, and let open ones accept any text.

    Otherwise a file that is opened later could get the descriptor of a closed stream, and printed
    text would be written into it.
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
    except BaseException as error:  # noqa: BLE001 - raised again if it is unexpected
        # A library may turn an interruption into another error.
        if not (asked or isinstance(error, KeyboardInterrupt)):
            return _explain(error)
        settle()
        # A second interruption ends the process before the line is printed.
        for number in heeded_signals():
            signal.signal(number, signal.SIG_DFL)
        number = signal.Signals(asked[0]) if asked else signal.SIGINT
        if sys.stderr.isatty():
            # The terminal has printed ^C on the current line.
            sys.stderr.write("\n")
        goes_on = words[:1] and words[0] in _GOING_ON
        then = (
            "run the same command again to go on"
            if goes_on
            else "the same command starts from the beginning"
        )
        _print_error(f"{SIGNALS[number]}; {then}")
        return _ENDED_BY_SIGNAL + number
    return status


def _prepare(name: str) -> None:
    """Prepare this process for a command, before the command imports what it needs."""
    require_room()
    if name in _WITH_WORKERS:
        _require_place()
    # Imported here, so that the help appears at once.
    from conversion.executors.start import keep_pandas_out, tune_libraries, worker_context

    tune_libraries()
    if name in _WITH_WORKERS:
        worker_context()
    keep_pandas_out()


def _require_place() -> None:
    """Check that the current folder of this process exists.

    Raises:
        UsageError: It was removed, and Python cannot start a process from there.
    """
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder was removed, and no process can start there",
            fix="change to another folder",
        ) from error


def _command_line(words: Sequence[str], prepare: Callable[[str], None] | None) -> int:
    # Imported here, because every worker imports this module, but parses no command line.
    import click

    from conversion.cli.command import NAME, Commands

    if instruction := os.environ.get(_COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(Commands(), {}, NAME, _COMPLETE, instruction)
    try:
        with Commands().make_context(NAME, [*words] or ["--help"], obj=prepare) as context:
            return int(context.command.invoke(context) or 0)
    except click.exceptions.Exit as end:
        # The help or the version was shown.
        return end.exit_code
    except click.UsageError as error:
        from conversion.cli.usage import one_line

        _print_error(one_line(error))
        if error.ctx:
            usage = error.ctx.command.get_usage(error.ctx)
            sys.stderr.write(f"{usage}\nSee: {error.ctx.command_path} --help\n")
        return UsageError.exit_status


def _explain(error: BaseException) -> int:
    """Print an error in one line; an unexpected error is raised again."""
    if isinstance(error, TooLittleMemory) or is_no_memory(error):
        message = str(error) if isinstance(error, TooLittleMemory) else _NO_MEMORY
        # There may be too little memory for the console that shows other errors.
        sys.stderr.write(f"bioscan5m: error: {message}\n")
        return TooLittleMemory.exit_status
    if isinstance(error, BioscanError):
        _print_error(str(error))
        return error.exit_status
    if isinstance(error, OSError):
        if isinstance(error, BrokenPipeError) and _nobody_reads(sys.stdout.fileno()):
            # The reader of the pipe, such as ``head``, has ended.
            _drop_output()
            return 0
        # The system refused access to a file in a place where no module expects it.
        place = f"{error.filename}: " if error.filename else ""
        _print_error(f"{place}{error.strerror or error}")
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return 1
    raise error


def _drop_output() -> None:
    """Drop buffered output, because writing it would fail again when the process exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(message: str) -> None:
    # Imported here, because every worker imports this module, but shows nothing.
    from conversion.cli.console import print_error

    print_error(message)


def _nobody_reads(descriptor: int) -> bool:
    """Whether the other end of a pipe was closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(found & select.POLLERR for _, found in poll.poll(0))
