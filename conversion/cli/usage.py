"""Explain in one line what is wrong with a command line, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

import click

# Word processors turn two hyphens into one of these.
_DASHES: Final = re.compile(
    "^[\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}][-\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}]*(?=[a-z])"
)


def one_line(error: click.UsageError) -> str:
    """Format a usage error as one line."""
    if isinstance(error, click.NoSuchOption):
        return f"there is no option {error.option_name}; {_nearest(error)}"
    if isinstance(error, click.MissingParameter) and error.param:
        named = error.param.metavar or error.param.name
        return f"{named} is missing{_what(error.param)}"
    if isinstance(error, click.BadParameter) and error.param:
        return f"{_named(error.param)}: {error.message}"
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name} needs a value"
    text = error.format_message().rstrip(".")
    if extra := re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", text):
        return f"unexpected argument {extra[1]!r}; quote a name that has spaces in it"
    return text


def _nearest(error: click.NoSuchOption) -> str:
    names = [name for each in error.ctx.command.params for name in each.opts] if error.ctx else []
    near = difflib.get_close_matches(error.option_name.lower(), names, n=1)
    return f"did you mean {near[0]}?" if near else "see --help for the valid options"


def check_dashes(words: Iterable[str], ctx: click.Context) -> None:
    """Check that no option begins with a dash other than a hyphen.

    Raises:
        click.UsageError: One does.
    """
    for word in words:
        if dash := _DASHES.match(word):
            problem = f"{word!r} begins with a dash that is not a hyphen"
            raise click.UsageError(f"{problem}; write --{word[dash.end() :]}", ctx)


def _named(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.metavar or parameter.name or ""


def _what(parameter: click.Parameter) -> str:
    meaning = getattr(parameter, "help_line", None)
    return f": {meaning}" if meaning else ""
