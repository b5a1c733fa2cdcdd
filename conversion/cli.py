"""The command line: ``bioscan5m …``."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Final

from bioscan5m_hf.errors import BioscanError
from bioscan5m_hf.schema import SPLITS
from bioscan5m_hf.variants import package_names
from conversion import commands
from conversion.console import print_error
from conversion.convert import DEFAULT_SHARD_BYTES
from conversion.writers import FORMATS

_INTERRUPTED: Final = 130
_UNITS: Final = {
    "": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words of the command line, without the program's name.

    Returns:
        0 where it is done, 1 where the data is bad or the work failed, 2 for wrong usage, 130
        where it was interrupted.
    """
    options = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        status = command(options)
        sys.stdout.flush()
    except BioscanError as error:
        print_error(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        print_error("interrupted; run the same command again to go on")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has seen enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="bioscan5m",
        description="Make BIOSCAN-5M usable with Hugging Face datasets in one line.",
        epilog="Begin with: bioscan5m demo",
    )
    parser.add_argument(
        "--version", action="version", version=f"bioscan5m {version('bioscan5m-hf')}"
    )
    commands_of = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_inspect(commands_of)
    _add_convert(commands_of)
    _add_verify(commands_of)
    _add_sample(commands_of)
    _add_demo(commands_of)
    return parser


def _add(
    commands_of: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
    summary: str,
    examples: Sequence[str],
) -> argparse.ArgumentParser:
    shown = "\n".join(f"  {example}" for example in examples)
    parser = commands_of.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{shown}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_inspect(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands_of,
        "inspect",
        commands.run_inspect,
        "show what is in a release, and whether it fits together",
        ["bioscan5m inspect RELEASE", "bioscan5m inspect RELEASE --findings findings.csv"],
    )
    _add_release(parser)
    _add_packages(parser)
    parser.add_argument(
        "--findings", type=Path, metavar="FILE", help="list everything that does not fit, as csv"
    )
    _add_workers(parser)


def _add_convert(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands_of,
        "convert",
        commands.run_convert,
        "convert a release into a dataset folder",
        [
            "bioscan5m convert RELEASE --output bioscan-5m --package cropped_256",
            "bioscan5m convert RELEASE --output bioscan-5m --split val --split test",
        ],
    )
    _add_release(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="the dataset folder to write"
    )
    _add_packages(parser)
    names = ", ".join(split.name for split in SPLITS)
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a split to convert, may be repeated (default: all that are found; {names})",
    )
    parser.add_argument(
        "--shard-size",
        type=_size,
        default=DEFAULT_SHARD_BYTES,
        metavar="SIZE",
        help="what a shard should have at most, such as 500MB (the default) or 1GiB",
    )
    parser.add_argument(
        "--format",
        default="parquet",
        metavar="NAME",
        help=f"the format of the shards (default: parquet; {', '.join(FORMATS)})",
    )
    parser.add_argument(
        "--on-error",
        choices=("stop", "record"),
        default="stop",
        help="at a flawed image or row: stop (the default), or leave it out and record it in "
        "rejects.parquet",
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="make anew what was made from other input or with other options",
    )
    _add_workers(parser)
    _add_quiet(parser)


def _add_verify(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands_of,
        "verify",
        commands.run_verify,
        "prove a dataset folder against its manifest",
        ["bioscan5m verify bioscan-5m"],
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the dataset folder")
    _add_workers(parser)


def _add_sample(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands_of,
        "sample",
        commands.run_sample,
        "write a synthetic release in upstream's layout",
        [
            "bioscan5m sample RELEASE -n 2000",
            "bioscan5m sample RELEASE -n 100000 --package cropped_256",
        ],
    )
    parser.add_argument("release", type=Path, metavar="RELEASE", help="the folder to write")
    parser.add_argument(
        "-n", dest="specimens", type=_count, default=2000, metavar="N", help="specimens (2000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed, another release (0)")
    _add_packages(parser)
    parser.add_argument(
        "--layout",
        choices=("groups", "full", "parts", "folder"),
        default="groups",
        help="a zip for each group of splits (default), one zip, numbered parts, or plain files",
    )
    parser.add_argument(
        "--names",
        choices=("hub", "seed"),
        default="hub",
        help="the names of the zips: BIOSCAN_5M_… as on the Hub (the default), or BIOSCAN_…",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="images of a few hundred bytes, for tests of scale"
    )
    _add_workers(parser)
    _add_quiet(parser)


def _add_demo(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add(
        commands_of,
        "demo",
        commands.run_demo,
        "sample, convert, verify and load, all in one",
        ["bioscan5m demo", "bioscan5m demo --output /tmp/demo"],
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bioscan5m-demo"),
        metavar="DIR",
        help="the folder to write (./bioscan5m-demo); an earlier demo in it is replaced",
    )
    _add_workers(parser)


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "release", type=Path, metavar="RELEASE", help="the folder that holds upstream's files"
    )


def _add_packages(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a package, may be repeated (default: all; {', '.join(package_names())})",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=_count,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="how many processes work at a time (default: the processors that may be used)",
    )


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress")


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)


def _size(text: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB or 1GiB")
    size = int(float(match[1]) * _UNITS[match[2]])
    if not size:
        raise argparse.ArgumentTypeError(f"{text!r} is no size")
    return size
