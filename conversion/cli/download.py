"""``bioscan5m download``: fetch what some packages and splits of the release need."""

from __future__ import annotations

import argparse
from pathlib import Path

from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE
from conversion.cli.console import make_console, make_table
from conversion.cli.parameters import (
    Commands,
    add_command,
    add_packages,
    add_quiet,
    add_splits,
    count,
    packages,
    splits,
)
from conversion.download.sources import MIRRORS, mirror_named
from conversion.sizes import readable_size


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "download",
        _run,
        "fetch what some packages and splits of the release need",
        [
            "bioscan5m download --package cropped_256 --split val --output RELEASE --dry-run",
            "bioscan5m download --from zenodo --package cropped_256 --output RELEASE",
        ],
    )
    parser.add_argument(
        "--from",
        dest="mirror",
        default="hub",
        metavar="NAME",
        help=f"the mirror (default: hub; {', '.join(mirror.name for mirror in MIRRORS)})",
    )
    add_packages(parser, default=f"{DEFAULT_PACKAGE} only")
    add_splits(parser)
    parser.add_argument(
        "--output", type=Path, required=True, metavar="RELEASE", help="the folder to put it in"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the files and their sizes"
    )
    parser.add_argument(
        "--workers",
        type=count,
        default=4,
        metavar="N",
        help="how many files are fetched at a time (4)",
    )
    add_quiet(parser)
    variables = [f"{m.variable} stands in for {m.location}" for m in MIRRORS if m.variable]
    parser.epilog = (
        f"{parser.epilog}\n\nenvironment:\n  HF_ENDPOINT stands in for https://huggingface.co\n"
        + "".join(f"  {line}\n" for line in variables)
    )


def _run(options: argparse.Namespace) -> int:
    """Download, and show what there is now."""
    # Not at the top: no other command needs an HTTP client.
    from conversion.download.download import DownloadOptions, Presence, download
    from conversion.download.progress import DownloadReporter

    items = download(
        DownloadOptions(
            mirror=mirror_named(options.mirror),
            packages=packages(options) or (DEFAULT_PACKAGE,),
            output=options.output,
            splits=splits(options),
            workers=options.workers,
            dry_run=options.dry_run,
        ),
        DownloadReporter(quiet=options.quiet),
    )
    rows = [
        (
            item.remote.name,
            item.presence.value
            if options.dry_run
            else ("was there" if item.presence is Presence.WHOLE else "fetched"),
            item.remote.expected.told,
            readable_size(item.remote.expected.bytes),
        )
        for item in items
    ]
    console = make_console()
    head = ("file", "state", "proof", "size")
    console.print(make_table(str(options.output), head, rows, right=1))
    left = sum(
        max(0, item.remote.expected.bytes - item.held)
        for item in items
        if options.dry_run and item.presence is not Presence.WHOLE
    )
    if options.dry_run:
        console.print(f"{readable_size(left)} would be fetched; nothing was written")
    return 0
