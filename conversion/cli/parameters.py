"""Turn declared options into parameters of the command line, with parsing, help and completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.storage.path import absolute
from conversion.pipeline.option import Option, read_count
from conversion.pipeline.options import convert_options

_BY_POSITION: Final = "_by_position"


RELEASE: Final = convert_options()["release"]
PACKAGES: Final = convert_options()["packages"]
SPLITS: Final = convert_options()["splits"]
DATA: Final = Option(
    (),
    "a dataset folder, a release, a repository such as user/bioscan-5m, or a URL",
    "DATA",
    position=True,
    required=True,
)
FOLDER: Final = Option((), "the dataset folder", "DIR", absolute, position=True, required=True)
WORKERS: Final = Option(
    ("--workers",),
    "how many processes work at a time",
    "N",
    read_count,
    shown="the processors that may be used",
)
DRY_RUN: Final = Option(("--dry-run",), "only say what would be done")


def switch(flag: str, help_line: str, *needs: str) -> Option:
    """Declare an option without a value.

    Args:
        flag: Its flag, such as ``--images``.
        help_line: Its line in the help.
        needs: Flags of which at least one must also be given.
    """
    return Option((flag,), help_line, needs=needs)


class Words(click.ParamType[Any]):
    """Parses the words that are given for an option, as its declaration says."""

    def __init__(self, option: Option) -> None:
        self.name = option.metavar or ""
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse one word, or several words with commas if the option may be repeated."""
        if not isinstance(value, str):
            return value
        try:
            if not self._option.repeated:
                return self._read(value)
            return tuple(self._read(word.strip()) for word in value.split(","))
        except UsageError as error:
            self.fail(str(error), param, ctx)

    def _read(self, word: str) -> Any:
        if not word and self._option.bare is None:
            raise UsageError("the value is empty", fix=f"write {self._option.metavar}")
        return self._option.read(word)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the names that are valid, or let the shell offer files."""
        del ctx, param
        if not self._option.names:
            return [CompletionItem(incomplete, type="file")]
        before, comma, word = "", "", incomplete
        if self._option.repeated:
            before, comma, word = incomplete.rpartition(",")
        return [
            CompletionItem(f"{before}{comma}{name}")
            for name in self._option.names
            if name.startswith(word)
        ]


class Positional(click.Argument):
    """A positional argument; unlike click's own, it has a line in the help."""

    def __init__(self, names: list[str], help_line: str, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.help_line = help_line


def parameters(name: str, option: Option) -> list[click.Parameter]:
    """Make the parameters of an option: a positional argument, a flag, or both."""
    made: list[click.Parameter] = []
    if option.position:
        needed = option.required and not option.flags
        made.append(
            Positional(
                [f"{name}{_BY_POSITION}" if option.flags else name],
                help_line=option.help,
                metavar=option.metavar if needed else f"[{option.metavar}]",
                type=Words(option),
                required=needed,
                default=None if option.flags else option.default,
            )
        )
    if option.flags:
        made.append(click.Option([*option.flags, name], help=_help(option), **_settings(option)))
    return made


def _settings(option: Option) -> dict[str, Any]:
    if option.metavar is None:
        return {"is_flag": True}
    settings = {"type": Words(option), "metavar": option.metavar, "default": option.default}
    if option.repeated:
        settings |= {"multiple": True, "callback": _joined}
    if option.bare is not None:
        settings |= {"is_flag": False, "flag_value": option.bare, "metavar": f"[{option.metavar}]"}
    return settings


def _joined(_ctx: click.Context, _param: click.Parameter, given: Any) -> tuple[Any, ...]:
    """Join the values of an option that was given several times, without duplicates."""
    values = [value for words in given for value in words]
    flat = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    return tuple(dict.fromkeys(flat))


def _help(option: Option) -> str:
    default = option.shown or option.default
    notes = [
        *(["may be repeated, or several with commas"] if option.repeated else []),
        *([f"default: {default}"] if default is not None else []),
        *([", ".join(option.names)] if option.names and option.bare is None else []),
    ]
    return option.help + (f" ({'; '.join(notes)})" if notes else "")


def settle_positions(ctx: click.Context, options: Mapping[str, Option]) -> None:
    """Use positional words as values of their options.

    Raises:
        click.UsageError: An option was given both by position and by flag, or a required option is
            missing.
    """
    for name, option in options.items():
        if f"{name}{_BY_POSITION}" in ctx.params:
            word = ctx.params.pop(f"{name}{_BY_POSITION}")
            if word is not None and ctx.params[name] not in (None, option.default, word):
                problem = f"{option.metavar} is given twice: {word} and {ctx.params[name]}"
                raise click.UsageError(problem, ctx)
            ctx.params[name] = ctx.params[name] if word is None else word
        if option.required and ctx.params[name] is None:
            named = option.metavar if option.position else option.flags[0]
            raise click.UsageError(f"{named} is missing: {option.help}", ctx)


def check_needs(ctx: click.Context, options: Mapping[str, Option]) -> None:
    """Check that every given option has the other options that it needs.

    Raises:
        click.UsageError: A needed option is missing.
    """
    given = [name for name in options if ctx.params[name] != _settled_default(options[name])]
    flags = {flag for name in given for flag in options[name].flags}
    for name in given:
        option = options[name]
        if option.needs and not flags.intersection(option.needs):
            needed = " or ".join(option.needs)
            problem = f"{option.flags[0]} needs {needed}, which is not given; add {needed}"
            raise click.UsageError(f"{problem}, or leave {option.flags[0]} out", ctx)


def _settled_default(option: Option) -> Any:
    if option.metavar is None:
        return False
    return () if option.repeated else option.default
