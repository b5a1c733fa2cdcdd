"""``bioscan5m download``: fetch the release's files for the requested packages and splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE
from bioscan5m_hf.schema.upstream import MIRRORS, mirror_named
from bioscan5m_hf.storage.path import absolute
from conversion.cli.command import command
from conversion.cli.parameters import DRY_RUN, PACKAGES, SPLITS, WORKERS
from conversion.pipeline.option import Option
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from bioscan5m_hf.schema.upstream import Mirror
    from conversion.cli.console import Terminal

_VARIABLES = [f"{m.variable} for {m.location}" for m in MIRRORS if m.variable]


@command(
    "download",
    [
        "bioscan5m download RELEASE --package cropped_256 --split val --dry-run",
        "bioscan5m download RELEASE --package cropped_256 --from zenodo",
    ],
    {
        "output": Option(
            ("--output", "-o"),
            "the folder to put it in",
            "RELEASE",
            absolute,
            position=True,
            required=True,
        ),
        "mirror": Option(
            ("--from",),
            "the mirror",
            "NAME",
            mirror_named,
            names=tuple(mirror.name for mirror in MIRRORS),
            default="hub",
        ),
        "packages": replace(PACKAGES, shown=DEFAULT_PACKAGE),
        "splits": SPLITS,
        "workers": replace(
            WORKERS, help="how many files are fetched at a time", default=4, shown="4"
        ),
        "dry_run": replace(DRY_RUN, help="only list the files and their sizes"),
    },
    token=True,
    notes=[
        "Where --package is not given, only cropped_256 is fetched, as all packages together have "
        "400 GB; convert takes every package that is there.",
        "These variables name other places: HF_ENDPOINT for https://huggingface.co, "
        f"{', '.join(_VARIABLES)}.",
    ],
)
def run(
    terminal: Terminal,
    *,
    output: Path,
    mirror: Mirror,
    packages: tuple[str, ...],
    splits: tuple[Split, ...],
    workers: int,
    dry_run: bool,
) -> int:
    """Download files, and show their states."""
    from conversion.cli.console import make_table
    from conversion.download.download import DownloadOptions, Presence, download

    items = download(
        DownloadOptions(
            mirror=mirror,
            packages=packages or (DEFAULT_PACKAGE,),
            output=output,
            splits=splits,
            workers=workers,
            dry_run=dry_run,
        ),
        terminal,
    )
    rows = [
        (
            item.remote.name,
            item.presence.value
            if dry_run
            else ("was there" if item.presence is Presence.WHOLE else "fetched"),
            item.remote.expected.description,
            readable_size(item.remote.expected.bytes),
        )
        for item in items
    ]
    terminal.show(make_table(str(output), ("file", "state", "proof", "size"), rows, right=1))
    if dry_run:
        left = sum(
            max(0, item.remote.expected.bytes - item.held)
            for item in items
            if item.presence is not Presence.WHOLE
        )
        terminal.show(f"{readable_size(left)} would be fetched; nothing was written")
    return 0
