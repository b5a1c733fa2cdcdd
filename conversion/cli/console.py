"""Show notes, progress and tables, and each error as one line."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bioscan5m_hf.errors import OutputError, without_passwords
from conversion.cli.gauges import Bar, Gauge, Hidden, Lines
from conversion.interruption import raise_if_interrupted
from conversion.progress import Reached

# A table must not be cut if the width is unknown, as in a log file.
_LOG_WIDTH: Final = 160


class _PlainConsole(Console):
    """A console that shows text literally, without markup, control characters and passwords.

    Names in a release or in a dataset folder may contain brackets, or control characters that clear
    a terminal, fill its clipboard or change the direction of text.
    """

    def render_str(self, text: str, **style: Any) -> Text:
        """Make any string harmless before it is printed, even a cell or a title."""
        return super().render_str(shown(text), **style)


def make_console(*, stderr: bool = False) -> Console:
    """Make a console.

    Args:
        stderr: Whether it is for notes, on standard error; by default it is for results, on
            standard output.
    """
    stream = sys.stderr if stderr else sys.stdout
    return _PlainConsole(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
        width=None if stream.isatty() else _LOG_WIDTH,
    )


def shown(text: str) -> str:
    """Make text safe to print: escape control characters, and remove passwords from URLs."""
    plain = without_passwords(text)
    return "".join(
        sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in plain
    )


def print_error(message: str) -> None:
    """Print an error as one line on standard error."""
    sys.stderr.write(f"bioscan5m: error: {shown(' '.join(message.split()))}\n")


class Terminal:
    """Shows results on standard output, notes and progress on standard error.

    Args:
        quiet: Whether to show errors only.
        verbose: Whether to show times, and tracebacks of errors.
        json: Whether to show the result as one JSON document, and nothing else on standard output.
        log: A file to which notes and errors are also written.

    Raises:
        OutputError: The log file cannot be written.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        json: bool = False,
        log: Path | None = None,
    ) -> None:
        self.quiet = quiet
        self.json = json
        self._verbose = verbose
        self._console = make_console(stderr=True)
        self._made = time.monotonic()
        self._log = _open_log(log) if log else None

    def show(self, *results: str | Table) -> None:
        """Show results, one below the other."""
        if self.quiet or self.json:
            return
        console = make_console()
        for result in results:
            console.print(result)

    def place(self, text: str) -> None:
        """Show the location of the result, if the command is quiet and shows nothing else."""
        if self.quiet and not self.json:
            make_console().print(text)

    def document(self, result: Mapping[str, object]) -> None:
        """Show the result as JSON, if that was requested."""
        if self.json:
            # Written in parts, because a list may make its items while it is written.
            sys.stdout.writelines(json.JSONEncoder(indent=2).iterencode(result))
            sys.stdout.write("\n")

    def say(self, text: str) -> None:
        """Show one note."""
        self._note(text)
        if not self.quiet:
            passed = f"[{time.monotonic() - self._made:7.1f} s] " if self._verbose else ""
            self._console.print(f"{passed}{text}")

    def _note(self, text: str) -> None:
        if self._log:
            now = datetime.now().astimezone().isoformat(timespec="seconds")
            self._log.write(f"{now} {shown(text)}\n")
            self._log.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error:
            self._note(f"error: {error}" if str(error) else f"error: {type(error).__name__}")
            if self._verbose:
                self._console.print("".join(traceback.format_exception(kind, error, trace)))
        if self._log:
            self._log.close()

    @contextmanager
    def progress(
        self, work: str, total: int | None = None, unit: str = "", done: int = 0
    ) -> Iterator[Reached]:
        """Show the progress of the work in the ``with`` block; see ``Watcher``."""
        raise_if_interrupted()
        gauge = self._made_for(work, total, unit, done)

        def reached(count: int) -> None:
            raise_if_interrupted()
            gauge.reached(count)

        left = True
        try:
            gauge.open()
            yield reached
            left = False
        finally:
            gauge.close(left=left)

    def _made_for(self, work: str, total: int | None, unit: str, done: int) -> Gauge:
        if self.quiet:
            return Hidden()
        if self._console.is_terminal:
            return Bar(self._console, work, total, unit, done)
        return Lines(self._console.print, work, total, unit, done)


def _open_log(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"the log cannot be written ({error.strerror})",
            where=str(path),
            fix="name another --log-file",
        ) from error


def make_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: int = 0
) -> Table:
    """Make a table for the console.

    Args:
        title: The text above it.
        columns: The names of its columns.
        rows: The cells.
        right: How many of the last columns hold numbers.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        numeric = number >= len(columns) - right
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
