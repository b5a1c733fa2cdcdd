"""Define a command: its own options, the options of all commands, its examples and its help."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.storage.path import absolute
from conversion.cli.parameters import Positional, check_needs, parameters, settle_positions, switch
from conversion.cli.usage import check_dashes
from conversion.pipeline.option import Option

NAME: Final = "bioscan5m"

COMMANDS: Final = {
    "download": "fetch what some packages and splits of the release need",
    "inspect": "show what is in a release, and whether it fits together",
    "convert": "convert a release into a dataset folder",
    "verify": "check a dataset folder against its manifest",
    "card": "write card, pictures and notebook of a dataset folder again",
    "publish": "put a dataset folder on the Hub",
    "show": "show one specimen, its metadata and its photograph",
    "export": "write specimens as FASTA, csv, image folders or HDF5",
    "sample": "write a synthetic release in upstream's layout",
    "demo": "sample, convert, verify and load, all in one",
}
"""The commands, in the order of the help, with what they do; each is a module of ``commands``."""

SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_TOKEN: Final = Option(
    ("--token",),
    "the token for the Hub; other users of this machine can see it here, but not in HF_TOKEN",
    "TOKEN",
    shown="HF_TOKEN, or that of hf auth login",
)
_JSON: Final = switch("--json", "print the result as one JSON document")
_COMMON: Final = {
    "quiet": Option(("--quiet", "-q"), "print only errors, and where convert wrote its result"),
    "verbose": Option(("--verbose", "-v"), "print times, and where in the code an error occurred"),
    "log": Option(("--log-file",), "append all messages to this file", "FILE", absolute),
}

Run = Callable[..., int]
"""The function of a command: takes a ``Terminal`` and the values, returns the exit status."""


class Command(click.Command):
    """A command with declared options.

    Args:
        name: Its name, one of ``COMMANDS``.
        run: The function that does its work.
        examples: Whole commands for its help.
        options: Its options, by the names of the values that ``run`` is called with.
        more: The options that it shares with other commands.
        notes: Lines at the end of its help.
    """

    def __init__(
        self,
        name: str,
        run: Run,
        examples: Sequence[str],
        options: Mapping[str, Option],
        more: Mapping[str, Option],
        notes: Sequence[str],
    ) -> None:
        summary = COMMANDS[name]
        super().__init__(
            name,
            SETTINGS,
            run,
            [
                each
                for named in (options, more)
                for pair in named.items()
                for each in parameters(*pair)
            ],
            help=f"{summary[0].upper()}{summary[1:]}.",
        )
        self._run = run
        self._examples = examples
        self._options = options
        self._more = more
        self._notes = notes

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words; an error about them names this command."""
        try:
            check_dashes(args, ctx)
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        settle_positions(ctx, self._options)
        check_needs(ctx, self._options)
        more = {name: ctx.params.pop(name) for name in self._more}
        if token := more.pop("token", None):
            os.environ["HF_TOKEN"] = token
        if ctx.obj:
            ctx.obj(self.name)
        # Imported here, so that the help appears at once.
        from conversion.cli.console import Terminal

        with Terminal(**more) as terminal:
            return self._run(terminal, **ctx.params)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the positional arguments, then the options."""
        given = [
            (each.make_metavar(ctx), each.help_line)
            for each in self.params
            if isinstance(each, Positional)
        ]
        if given:
            with formatter.section("Arguments"):
                formatter.write_dl(given)
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, so that they can be copied, and the notes."""
        del ctx
        formatter.write("\nExamples:\n")
        for example in self._examples:
            formatter.write(f"{_fitted(example, formatter.width - 2)}\n")
        for note in self._notes:
            formatter.write("\n")
            formatter.write_text(note)


def command(
    name: str,
    examples: Sequence[str],
    options: Mapping[str, Option],
    *,
    json: bool = False,
    token: bool = False,
    notes: Sequence[str] = (),
) -> Callable[[Run], Command]:
    """Turn a function into a command.

    Args:
        name: Its name, one of ``COMMANDS``.
        examples: Whole commands for its help.
        options: Its options, by the names of the values that the function is called with.
        json: Whether it can print its result as a JSON document.
        token: Whether it may use the Hub.
        notes: Lines at the end of its help.
    """
    more = ({"token": _TOKEN} if token else {}) | ({"json": _JSON} if json else {}) | _COMMON
    return lambda run: Command(name, run, examples, options, more, notes)


def _fitted(example: str, width: int) -> str:
    """Break an example before its options if it is too long for one line."""
    lines = [""]
    for part in re.split(r" (?=--)", example):
        if lines[-1] and len(lines[-1]) + len(part) + 3 > width:
            lines.append(f"    {part}")
        else:
            lines[-1] = f"{lines[-1]} {part}".lstrip() if len(lines) == 1 else f"{lines[-1]} {part}"
    return " \\\n".join(f"  {line}" for line in lines)


class Commands(click.Group):
    """The whole command line; a command is imported only when it is used."""

    def __init__(self) -> None:
        super().__init__(
            NAME,
            help="Make BIOSCAN-5M usable with Hugging Face datasets in one line.",
            epilog="Begin with: bioscan5m demo",
            context_settings=SETTINGS,
            subcommand_metavar="COMMAND ...",
        )
        version = click.Option(
            ["--version", "-V"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
        self.params.append(version)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        del ctx
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = import_module(f"conversion.cli.commands.{cmd_name}").run
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command named by the first word."""
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.UsageError(str(UnknownName.of("command", args[0], COMMANDS)), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


def _show_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"{NAME} {version('bioscan5m-hf')}")
        ctx.exit()
