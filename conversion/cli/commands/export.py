"""``bioscan5m export``: write specimens in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.errors import counted
from bioscan5m_hf.schema.columns import RANKS
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE
from bioscan5m_hf.storage.path import absolute
from conversion.cli.command import command
from conversion.cli.parameters import DATA
from conversion.pipeline.option import Option, read_count, read_one_of

if TYPE_CHECKING:
    from conversion.cli.console import Terminal
    from conversion.export.base import ExportResult

_TARGETS = ("fasta", "barcodebert", "imagefolder", "clibd")


@command(
    "export",
    [
        "bioscan5m export bioscan-5m --to fasta --split train --output train.fasta",
        "bioscan5m export bioscan-5m --to barcodebert --output csv",
        "bioscan5m export bioscan-5m --to imagefolder --rank family --split train "
        "--where 'order = Diptera' --output flies",
        "bioscan5m export bioscan-5m --to clibd --output bioscan.hdf5",
    ],
    {
        "source": DATA,
        "output": Option(
            ("--output", "-o"),
            "the file or folder to write",
            "PATH",
            absolute,
            position=True,
            required=True,
        ),
        "to": Option(
            ("--to",),
            "fasta, barcodebert (a csv a split), imagefolder (a folder a taxon) or clibd (HDF5)",
            "TARGET",
            read_one_of("target", *_TARGETS),
            names=_TARGETS,
            required=True,
        ),
        "package": Option(
            ("--package",),
            "the package whose images are written",
            "NAME",
            default=DEFAULT_PACKAGE,
        ),
        "split": Option(
            ("--split",),
            "one split or several, such as train, train+val, seen",
            "SPLIT",
            default="all",
        ),
        "where": Option(
            ("--where",),
            "which specimens, such as 'order = Diptera and coord-lat > 60'",
            "CONDITION",
        ),
        "rank": Option(
            ("--rank",),
            "the rank that names the folders of imagefolder",
            "RANK",
            read_one_of("rank", *RANKS),
            names=RANKS,
            default="species",
        ),
        "limit": Option(("--limit",), "at most so many specimens of each split", "N", read_count),
    },
    token=True,
)
def run(
    terminal: Terminal,
    *,
    source: str,
    output: Path,
    to: str,
    package: str,
    split: str,
    where: str | None,
    rank: str,
    limit: int | None,
) -> int:
    """Export specimens, and show the progress."""
    from bioscan5m_hf.query.filters import Filter
    from bioscan5m_hf.query.text import parse_where
    from bioscan5m_hf.sources.resolve import open_data
    from conversion.export.base import ExportOptions
    from conversion.export.export import TARGETS, export

    condition = Filter.of(parse_where(where)) if where is not None else None
    wanted = ExportOptions(output, (), condition, limit, rank)
    data = open_data(source)
    with terminal.progress("writing", unit="specimens") as reached:
        result = export(data, TARGETS[to](), package, split, wanted, reached)
    terminal.show(_described(output, result))
    return 0


def _described(output: Path, result: ExportResult) -> str:
    files = counted(result.files, "file")
    specimens = counted(result.written, "specimen")
    lines = [f"{output}: {specimens} in {files}"]
    lines += [f"left out, {reason}: {count:,}" for reason, count in result.left_out.items()]
    return "\n".join([*lines, *result.notes])
