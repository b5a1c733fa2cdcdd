"""``bioscan5m inspect``: show what is in a release, and whether it fits together."""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from bioscan5m_hf.schema.configurations import METADATA
from conversion.cli.console import make_console, make_table
from conversion.cli.parameters import (
    Commands,
    add_command,
    add_packages,
    add_release,
    add_workers,
    packages,
)
from conversion.files.atomic import write_whole
from conversion.inspection import PackageReport, inspect, told_as_absent
from conversion.rejects import REJECTS_SCHEMA, Finding
from conversion.sizes import readable_size

_SHOWN: Final = 20


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = add_command(
        commands,
        "inspect",
        _run,
        "show what is in a release, and whether it fits together",
        ["bioscan5m inspect RELEASE", "bioscan5m inspect RELEASE --findings findings.csv"],
    )
    add_release(parser)
    add_packages(parser)
    parser.add_argument(
        "--findings", type=Path, metavar="FILE", help="list everything that does not fit, as csv"
    )
    add_workers(parser)


def _run(options: argparse.Namespace) -> int:
    """Show what is in a release; status 1 where something does not fit."""
    report = inspect(options.release, threads=options.workers, packages=packages(options))
    console = make_console()
    release = report.release
    console.print(f"metadata: {release.metadata.label}")
    console.print(f"bounding boxes: {release.bbox.name if release.bbox else 'none'}")
    specimens = [(split.name, f"{count:,}") for split, count in report.specimens if count]
    specimens.append(("together", f"{sum(count for _, count in report.specimens):,}"))
    console.print(make_table("Specimens", ("split", "rows"), specimens, right=1))
    for package in report.packages:
        console.print(_sources_table(package))
        console.print(_splits_table(package))
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    findings = list(report.findings())
    if options.findings:
        write_whole(options.findings, _as_csv(findings))
        console.print(f"{len(findings):,} findings listed in {options.findings}")
    absent = [(p.selection.package, p.absent) for p in report.packages if p.absent]
    for name, splits in absent:
        console.print(told_as_absent(name, splits), markup=False)
    if report.fits:
        told = "What is there fits" if absent else "Everything fits: each specimen has its image"
        console.print(f"{told}, each image its specimen.")
        console.print("Images are not read here; convert proves each of them.")
        return 0
    console.print(_findings_table(findings))
    return 1


def _sources_table(package: PackageReport) -> Table:
    rows = [
        (source.label, f"{source.images:,}", readable_size(source.bytes))
        for source in package.sources
    ]
    head = ("archive", "images", "plain bytes")
    return make_table(package.selection.package, head, rows, right=2)


def _splits_table(package: PackageReport) -> Table:
    rows = [
        (
            count.split.name,
            f"{count.with_image:,}",
            f"{count.specimens - count.with_image:,}",
            readable_size(count.bytes),
        )
        for count in package.splits
    ]
    head = ("split", "with image", "without image", "plain bytes")
    return make_table("", head, rows, right=3)


def _findings_table(findings: Sequence[tuple[str | None, Finding]]) -> Table:
    counts = Counter(finding.reason for _, finding in findings)
    summary = ", ".join(f"{count:,} {reason}" for reason, count in counts.items())
    rows = [
        (
            finding.reason,
            package or METADATA,
            finding.processid or "",
            finding.member or finding.archive or "",
            finding.detail,
        )
        for package, finding in findings[:_SHOWN]
    ]
    title = f"What does not fit: {summary}"
    if len(findings) > _SHOWN:
        title += f" (the first {_SHOWN}; --findings FILE lists all)"
    return make_table(title, ("reason", "package", "processid", "where", "detail"), rows)


def _as_csv(findings: Iterable[tuple[str | None, Finding]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = REJECTS_SCHEMA.names
    writer.writerow(names)
    for package, finding in findings:
        writer.writerow([package, *(getattr(finding, name) for name in names[1:])])
    return text.getvalue().encode()
