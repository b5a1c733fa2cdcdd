"""``bioscan5m inspect``: show what is in a release, and whether it fits together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioscan5m_hf.errors import counted
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.storage.path import Location
from conversion.cli.command import command
from conversion.cli.parameters import PACKAGES, RELEASE, SPLITS, read_path
from conversion.pipeline.option import Option, read_count
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from rich.table import Table

    from conversion.catalogue.inspection import PackageReport, Report
    from conversion.cli.console import Terminal
    from conversion.rejects import Finding

_SHOWN: Final = 20


@command(
    "inspect",
    [
        "bioscan5m inspect RELEASE",
        "bioscan5m inspect RELEASE --package cropped_256 --split val",
        "bioscan5m inspect RELEASE --findings findings.csv",
    ],
    {
        "release": RELEASE,
        "packages": PACKAGES,
        "splits": SPLITS,
        "findings": Option(
            ("--findings",), "list everything that does not fit, as csv", "FILE", read_path
        ),
        "workers": Option(
            ("--workers",), "changes nothing any more: this needs one processor", "N", read_count
        ),
    },
    json=True,
    token=True,
)
def run(
    terminal: Terminal,
    *,
    release: Location,
    packages: tuple[str, ...],
    splits: tuple[Split, ...],
    findings: Path | None,
    workers: int | None,
) -> int:
    """Show what is in a release; status 1 where something does not fit."""
    from conversion.catalogue.inspection import inspect, told_as_absent
    from conversion.files.atomic import write_whole

    del workers
    report = inspect(release, packages=packages, splits=splits, watcher=terminal)
    found = list(report.findings())
    if findings:
        write_whole(findings, _as_csv(found))
    terminal.document(_document(report, found))
    _show(terminal, report)
    if findings:
        terminal.show(f"{counted(len(found), 'finding')} listed in {findings}")
    absent = [(p.selection.package, p.absent) for p in report.packages if p.absent]
    terminal.show(*(told_as_absent(name, lacking) for name, lacking in absent))
    if report.fits:
        told = "What is there fits" if absent else "Everything fits: each specimen has its image"
        terminal.show(
            f"{told}, each image its specimen.",
            "Images are not read here; convert proves each of them.",
        )
        return 0
    terminal.show(_findings_table(found))
    return 1


def _show(terminal: Terminal, report: Report) -> None:
    from conversion.cli.console import make_table

    terminal.show(f"metadata: {report.release.metadata.label}")
    boxes = report.release.bbox
    terminal.show(f"bounding boxes: {boxes.name if boxes else 'none'}")
    specimens = [(split.name, f"{count:,}") for split, count in report.specimens if count]
    specimens.append(("together", f"{sum(count for _, count in report.specimens):,}"))
    terminal.show(make_table("Specimens", ("split", "rows"), specimens, right=1))
    for package in report.packages:
        terminal.show(_sources_table(package), _splits_table(package))
    terminal.show(*(f"note: {note}" for note in report.notes))


def _document(report: Report, findings: Sequence[tuple[str | None, Finding]]) -> dict[str, Any]:
    from dataclasses import asdict

    boxes = report.release.bbox
    return {
        "metadata": report.release.metadata.label,
        "bounding_boxes": boxes.name if boxes else None,
        "specimens": {split.name: count for split, count in report.specimens if count},
        "packages": {
            package.selection.package: {
                "archives": {
                    source.label: {"images": source.images, "bytes": source.bytes}
                    for source in package.sources
                },
                "splits": {
                    count.split.name: {
                        "with_image": count.with_image,
                        "without_image": count.specimens - count.with_image,
                        "bytes": count.bytes,
                    }
                    for count in package.splits
                },
                "without_archive": {split.name: count for split, count in package.absent},
            }
            for package in report.packages
        },
        "notes": list(report.notes),
        "findings": [{"package": package, **asdict(finding)} for package, finding in findings],
        "fits": report.fits,
    }


def _sources_table(package: PackageReport) -> Table:
    from conversion.cli.console import make_table

    rows = [
        (source.label, f"{source.images:,}", readable_size(source.bytes))
        for source in package.sources
    ]
    head = ("archive", "images", "plain bytes")
    return make_table(package.selection.package, head, rows, right=2)


def _splits_table(package: PackageReport) -> Table:
    from conversion.cli.console import make_table

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
    from conversion.cli.console import make_table

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
    import csv
    import io

    from conversion.rejects import REJECTS_SCHEMA

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    names = REJECTS_SCHEMA.names
    writer.writerow(names)
    for package, finding in findings:
        writer.writerow([package, *(getattr(finding, name) for name in names[1:])])
    return text.getvalue().encode()
