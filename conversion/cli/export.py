"""``bioscan5m export``: write specimens in a form that another tool reads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from conversion.cli.parameters import Commands, add_command, add_quiet, count

if TYPE_CHECKING:
    from conversion.export.base import ExportResult


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "export",
        _run,
        "write specimens as FASTA, csv, image folders or HDF5",
        [
            "bioscan5m export bioscan-5m --to fasta --split train --output train.fasta",
            "bioscan5m export bioscan-5m --to barcodebert --output csv",
            "bioscan5m export bioscan-5m --to imagefolder --rank family --split train "
            "--where 'order = Diptera' --output flies",
            "bioscan5m export bioscan-5m --to clibd --output bioscan.hdf5",
        ],
    )
    parser.add_argument(
        "source",
        metavar="DATA",
        help="a dataset folder, a release, a repository such as user/bioscan-5m, or a URL",
    )
    parser.add_argument(
        "--to",
        required=True,
        metavar="TARGET",
        help="fasta, barcodebert (a csv a split), imagefolder (a folder a taxon) or clibd (HDF5)",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="PATH", help="the file or folder to write"
    )
    parser.add_argument(
        "--package",
        default="cropped_256",
        metavar="NAME",
        help="the package whose images are written (default: cropped_256)",
    )
    parser.add_argument(
        "--split",
        default="all",
        metavar="SPLIT",
        help="one split or several, such as train, train+val, seen (default: all)",
    )
    parser.add_argument(
        "--where",
        metavar="CONDITION",
        help="which specimens, such as 'order = Diptera and coord-lat > 60'",
    )
    parser.add_argument(
        "--rank",
        default="species",
        metavar="RANK",
        help="the rank that names the folders of imagefolder (default: species)",
    )
    parser.add_argument(
        "--limit", type=count, metavar="N", help="at most so many specimens of each split"
    )
    add_quiet(parser)


def _run(options: argparse.Namespace) -> int:
    """Export, with a count of what was written while it goes."""
    from bioscan5m_hf.opening import open_data
    from bioscan5m_hf.readers.filters import Filter
    from bioscan5m_hf.readers.where_text import parse_where
    from bioscan5m_hf.schema.vocabularies import check_rank
    from conversion.cli.console import ConsoleReporter, make_console
    from conversion.export.base import ExportOptions
    from conversion.export.export import export, target_named

    target = target_named(options.to)()
    check_rank(options.rank)
    condition = Filter.of(parse_where(options.where)) if options.where is not None else None
    reporter = ConsoleReporter(quiet=options.quiet)
    wanted = ExportOptions(options.output, (), condition, options.limit, options.rank)
    data = open_data(options.source)
    with reporter.counting("specimens written") as progress:
        result = export(data, target, options.package, options.split, wanted, progress)
    if not options.quiet:
        make_console().print(_told(options.output, result))
    return 0


def _told(output: Path, result: ExportResult) -> str:
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    specimens = "1 specimen" if result.written == 1 else f"{result.written:,} specimens"
    lines = [f"{output}: {specimens} in {files}"]
    lines += [f"left out, {reason}: {count:,}" for reason, count in result.left_out.items()]
    return "\n".join([*lines, *result.notes])
