"""What each command of the command line does with its options."""

from __future__ import annotations

import argparse
import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from bioscan5m_hf.errors import VerificationFailed
from bioscan5m_hf.schema import Split, split_named
from bioscan5m_hf.variants import METADATA, package_named
from conversion.console import ConsoleReporter, make_console, make_table, readable_size
from conversion.convert import ConvertOptions, Summary, convert
from conversion.files import write_whole
from conversion.findings import REJECTS_NAME, REJECTS_SCHEMA, Finding
from conversion.inspection import PackageReport, inspect
from conversion.manifest import Manifest
from conversion.verify import verify
from conversion.writers import writer_named

_SHOWN = 20


def _packages(options: argparse.Namespace) -> tuple[str, ...]:
    return tuple(dict.fromkeys(package_named(name).name for name in options.package))


def _splits(names: Sequence[str]) -> tuple[Split, ...]:
    return tuple(dict.fromkeys(split_named(name) for name in names))


# ------------------------------------------------------------------------------------- inspect


def run_inspect(options: argparse.Namespace) -> int:
    """Show what is in a release; status 1 where something does not fit."""
    report = inspect(options.release, threads=options.workers, packages=_packages(options))
    console = make_console()
    release = report.release
    console.print(f"metadata: {release.metadata.label}", markup=False)
    console.print(f"bounding boxes: {release.bbox.name if release.bbox else 'none'}", markup=False)
    specimens = [(split.name, f"{count:,}") for split, count in report.specimens if count]
    specimens.append(("together", f"{sum(count for _, count in report.specimens):,}"))
    console.print(make_table("Specimens", ("split", "rows"), specimens, right=1))
    for package in report.packages:
        console.print(_sources_table(package))
        console.print(_splits_table(package))
    notes = [*release.notes, *(n for package in report.packages for n in package.selection.notes)]
    for note in notes:
        console.print(f"note: {note}", markup=False)
    findings = list(report.findings())
    if options.findings:
        write_whole(options.findings, _as_csv(findings))
        console.print(f"{len(findings):,} findings listed in {options.findings}", markup=False)
    if report.fits:
        console.print("Everything fits: each specimen has its image, each image its specimen.")
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


# ------------------------------------------------------------------------------------- convert


def run_convert(options: argparse.Namespace) -> int:
    """Convert a release, and show what was written."""
    writer_named(options.format)
    summary = convert(
        ConvertOptions(
            release=options.release,
            output=options.output,
            workers=options.workers,
            packages=_packages(options),
            splits=_splits(options.split),
            shard_bytes=options.shard_size,
            format=options.format,
            record=options.on_error == "record",
            restart=options.restart,
        ),
        ConsoleReporter(quiet=options.quiet),
    )
    _show_summary(summary, options.output)
    return 0


def _show_summary(summary: Summary, output: Path) -> None:
    console = make_console()
    manifest = summary.manifest
    console.print(_written_table(manifest, output))
    held = sum(len(o.splits[split].shards) for o in summary.outcomes for split in o.splits)
    console.print(f"{summary.made} shards made, {held - summary.made} were there already")
    if summary.strays:
        console.print(f"{summary.strays:,} other files in the archives were passed over")
    left_out = Counter(f.reason for o in summary.outcomes for f in o.findings)
    left_out += Counter(finding.reason for finding in summary.bad_rows)
    if left_out:
        rows = [(reason, f"{count:,}") for reason, count in sorted(left_out.items())]
        title = f"Left out, and recorded in {output / REJECTS_NAME}"
        console.print(make_table(title, ("reason", "count"), rows, right=1))


def _written_table(manifest: Manifest, output: Path) -> Table:
    rows = [
        (
            configuration,
            split,
            f"{files.rows:,}",
            f"{files.rejected:,}",
            f"{len(files.shards):,}",
            readable_size(sum(shard.bytes for shard in files.shards)),
        )
        for configuration in (*manifest.packages, METADATA)
        for split, files in manifest.splits[configuration].items()
    ]
    head = ("configuration", "split", "specimens", "left out", "shards", "size")
    return make_table(str(output), head, rows, right=4)


# -------------------------------------------------------------------------------------- verify


def run_verify(options: argparse.Namespace) -> int:
    """Prove a dataset folder; every difference is printed."""
    manifest, findings = verify(options.folder, threads=options.workers)
    console = make_console()
    for finding in findings:
        console.print(finding, markup=False)
    if findings:
        raise VerificationFailed(
            f"{len(findings)} differences from the manifest",
            where=str(options.folder),
            fix="convert again with --restart",
        )
    files = list(manifest.files())
    console.print(
        f"{options.folder}: {len(files):,} shards, {sum(file.rows for file in files):,} rows, "
        f"{readable_size(sum(file.bytes for file in files))}: all as the manifest says",
        markup=False,
    )
    return 0


# ------------------------------------------------------------------------------ sample and demo


def run_sample(options: argparse.Namespace) -> int:
    """Write a synthetic release."""
    from conversion.sample import SampleOptions, write_sample

    reporter = ConsoleReporter(quiet=options.quiet)
    done = 0

    def advance(specimens: int) -> None:
        nonlocal done
        done += specimens
        reporter.reached(done)

    reporter.begin(options.specimens, 0, "sampling")
    try:
        summary = write_sample(
            SampleOptions(
                root=options.release,
                specimens=options.specimens,
                seed=options.seed,
                **({"packages": _packages(options)} if options.package else {}),
                layout=options.layout,
                names=options.names,
                workers=options.workers,
                tiny=options.tiny,
            ),
            advance,
        )
    finally:
        reporter.end()
    rows = [(str(path), readable_size(size)) for path, size in summary.files]
    make_console().print(make_table(str(options.release), ("file", "size"), rows, right=1))
    return 0


def run_demo(options: argparse.Namespace) -> int:
    """The whole way on a small synthetic release."""
    from conversion.demo import demo

    demo(options.output, workers=options.workers, console=make_console())
    return 0
