"""``bioscan5m inspect``: show the contents of a release, and whether its parts fit together."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioscan5m_hf.errors import counted
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.storage.path import Location, absolute
from conversion.cli.command import command
from conversion.cli.parameters import PACKAGES, RELEASE, SPLITS, switch
from conversion.pipeline.option import Option
from conversion.sizes import readable_size

if TYPE_CHECKING:
    from rich.table import Table

    from conversion.catalogue.inspection import PackageReport, Report
    from conversion.cli.console import Terminal
    from conversion.rejects import Finding

_SHOWN: Final = 20
_WRITTEN: Final = 10_000


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
        "subset": switch(
            "--subset",
            "the release is incomplete on purpose: specimens without an image and images without "
            "a specimen are reported, but are not errors",
        ),
        "findings": Option(
            ("--findings",), "list everything that does not fit, as csv", "FILE", absolute
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
    subset: bool,
    findings: Path | None,
) -> int:
    """Show the contents of a release; return 1 if something does not fit."""
    from conversion.catalogue.inspection import describe_absent_splits, inspect

    report = inspect(release, packages=packages, splits=splits, subset=subset, watcher=terminal)
    count = report.count()
    if findings:
        _write_csv(findings, report.findings())
    terminal.document(_document(report))
    _show(terminal, report)
    if findings:
        terminal.show(f"{counted(count.total(), 'finding')} listed in {findings}")
    absent = [(p.selection.package, p.absent) for p in report.packages if p.absent]
    terminal.show(*(describe_absent_splits(name, lacking) for name, lacking in absent))
    if report.fits:
        line = (
            "What is there fits together."
            if absent or subset
            else "Everything fits: each specimen has its image, and each image its specimen."
        )
        terminal.show(
            line,
            "inspect does not read the images; convert checks each of them.",
        )
        return 0
    terminal.show(_findings_table(report.findings(), count))
    return 1


def _show(terminal: Terminal, report: Report) -> None:
    from conversion.cli.console import make_table

    terminal.show(f"metadata: {report.release.metadata.label}")
    boxes = report.release.bbox
    terminal.show(f"bounding boxes: {boxes.name if boxes else 'none'}")
    specimens = [(split.name, f"{count:,}") for split, count in report.specimens if count]
    specimens.append(("all", f"{sum(count for _, count in report.specimens):,}"))
    terminal.show(make_table("Specimens", ("split", "rows"), specimens, right=1))
    for package in report.packages:
        terminal.show(_sources_table(package), _splits_table(package))
    terminal.show(*(f"note: {note}" for note in report.notes))


class _Listed(list[dict[str, Any]]):
    """The findings for JSON, as a list that makes each item only when it is written."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def __len__(self) -> int:
        return self._report.count().total()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from conversion.rejects import Finding

        # There may be millions of values, and ``asdict`` would copy each of them.
        names = [field.name for field in fields(Finding)]
        for package, finding in self._report.findings():
            yield {"package": package, **{name: getattr(finding, name) for name in names}}


def _document(report: Report) -> dict[str, Any]:
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
        "findings": _Listed(report),
        "fits": report.fits,
    }


def _sources_table(package: PackageReport) -> Table:
    from conversion.cli.console import make_table

    rows = [
        (source.label, f"{source.images:,}", readable_size(source.bytes))
        for source in package.sources
    ]
    head = ("archive", "images", "image bytes")
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
    head = ("split", "with image", "without image", "image bytes")
    return make_table("", head, rows, right=3)


def _findings_table(findings: Iterator[tuple[str | None, Finding]], count: Counter[str]) -> Table:
    from conversion.cli.console import make_table

    summary = ", ".join(f"{number:,} {reason}" for reason, number in count.items())
    rows = [
        (
            finding.reason,
            package or METADATA,
            finding.processid or "",
            finding.member or finding.archive or "",
            finding.detail,
        )
        for package, finding in itertools.islice(findings, _SHOWN)
    ]
    title = f"What does not fit: {summary}"
    if count.total() > _SHOWN:
        title += f" (the first {_SHOWN}; --findings FILE lists all)"
    return make_table(title, ("reason", "package", "processid", "where", "detail"), rows)


def _write_csv(path: Path, findings: Iterator[tuple[str | None, Finding]]) -> None:
    import csv
    import io

    from conversion.files.atomic import AtomicFile
    from conversion.rejects import REJECTS_SCHEMA

    names = REJECTS_SCHEMA.names
    with AtomicFile(path) as file, io.StringIO(newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        while True:
            some = list(itertools.islice(findings, _WRITTEN))
            for package, finding in some:
                writer.writerow([package, *(getattr(finding, name) for name in names[1:])])
            file.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
            if not some:
                break
