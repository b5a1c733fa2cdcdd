"""Inspect a release: count its images and specimens, and list the mismatches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bioscan5m_hf.errors import counted
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.release.find import Release, Selection
from bioscan5m_hf.release.image_index import source_labels
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.release.metadata.rows import BadRow, in_file_order
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.storage.path import Location
from conversion.catalogue.catalogue import Catalogue
from conversion.catalogue.reconcile import (
    Reconciliation,
    SplitCount,
    plain_sizes,
    reconcile,
    take_as_subset,
)
from conversion.derive.measures import MeasureCheck
from conversion.progress import SilentWatcher, Watcher, counting_rows
from conversion.rejects import Finding, bad_row_finding


@dataclass(frozen=True, slots=True)
class SourceCount:
    """The images in one archive or folder.

    Attributes:
        label: Its name.
        images: How many images of the package are read from it.
        bytes: The uncompressed size of these images.
    """

    label: str
    images: int
    bytes: int


@dataclass(frozen=True, slots=True)
class PackageReport:
    """The contents of one package.

    Attributes:
        selection: Its sources, with notes about files that are not used.
        sources: The number of images in each source.
        splits: The specimens of each split that has sources, and how many have an image.
        absent: The splits that have specimens but no source, with the number of specimens.
        reconciliation: The mismatches.
    """

    selection: Selection
    sources: tuple[SourceCount, ...]
    splits: tuple[SplitCount, ...]
    absent: tuple[tuple[Split, int], ...]
    reconciliation: Reconciliation

    def as_subset(self) -> tuple[PackageReport, tuple[str, ...]]:
        """The report for a deliberate subset, and notes about its missing data as sentences."""
        fitting, notes = take_as_subset(self.reconciliation)
        left = fitting.findings.choose(lambda kind: not kind.absent)
        return replace(self, reconciliation=replace(fitting, findings=left)), notes


@dataclass(frozen=True, slots=True)
class Report:
    """The contents of a release.

    Attributes:
        release: Its files.
        specimens: For each split, the number of rows in the metadata.
        bad_rows: Rows of the metadata that are not valid, or contradict the bounding boxes.
        packages: Its packages.
        notes: Further notes about its files, as sentences.
    """

    release: Release
    specimens: tuple[tuple[Split, int], ...]
    bad_rows: tuple[Finding, ...]
    packages: tuple[PackageReport, ...]
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether every specimen has its image and every image its specimen."""
        return not self.bad_rows and not any(
            package.reconciliation.findings for package in self.packages
        )

    def count(self) -> Counter[str]:
        """The number of findings of each reason."""
        found = Counter(finding.reason for finding in self.bad_rows)
        for package in self.packages:
            for kind in package.reconciliation.findings.kinds:
                found[kind.reason] += kind.splits.total()
        return found

    def findings(self) -> Iterator[tuple[str | None, Finding]]:
        """Yield all findings, each with its package; ``None`` for rows of the metadata."""
        yield from ((None, finding) for finding in self.bad_rows)
        for package in self.packages:
            name = package.selection.package
            yield from ((name, finding) for finding in package.reconciliation.findings)


def splits_without_images(
    selection: Selection, specimens: Sequence[tuple[Split, int]]
) -> tuple[tuple[Split, int], ...]:
    """The splits that have specimens, but no archive or folder in a package.

    Args:
        selection: The sources of the package.
        specimens: How many specimens of each split the metadata have.
    """
    held = selection.splits
    return tuple((split, n) for split, n in specimens if n and split.name not in held)


def describe_absent_splits(package: str, absent: Sequence[tuple[Split, int]]) -> str:
    """Describe the splits without images in a sentence.

    Args:
        package: The package.
        absent: The splits, with the number of their specimens.
    """
    named = ", ".join(f"{split.name} ({counted(count, 'specimen')})" for split, count in absent)
    return f"{package}: there are no images of {named}"


def inspect(
    root: Location,
    *,
    packages: Sequence[str] = (),
    splits: Sequence[Split] = (),
    subset: bool = False,
    watcher: Watcher | None = None,
) -> Report:
    """Inspect a release, without writing to it.

    Args:
        root: Its folder, or its URL.
        packages: The packages to inspect; empty for all.
        splits: The splits to inspect; empty for all.
        subset: Whether the release is a deliberate subset: missing data are only noted then.
        watcher: Receives messages and progress.

    Raises:
        BioscanError: A file of it cannot be read at all.
    """
    watcher = watcher or SilentWatcher()
    with watcher.progress("looking for the release"):
        release = locate_release(root)
    bad: list[BadRow] = []
    notes = list(release.notes)
    label = release.metadata.label
    with temporary_folder() as work:
        catalogue = Catalogue(work)
        rows = read_metadata(release.metadata, bad.append, notes.append)
        measures = MeasureCheck(release.bbox) if isinstance(release.bbox, Path) else None
        with watcher.progress("reading the metadata", unit="records") as reached:
            counted_rows = counting_rows(rows, reached)
            catalogue.load_metadata(
                measures.watch(counted_rows) if measures else counted_rows, slim=True
            )
            catalogue.settle_rows(label, bad.append)
        specimens = [
            (split, count)
            for split, count in catalogue.split_counts()
            if not splits or split in splits
        ]
        reports = []
        for package in packages or release.packages:
            with watcher.progress(f"listing the images of {package}"):
                chosen = release.select(package, splits or SPLITS)
                report = _inspect_package(catalogue, chosen, specimens)
            if subset:
                report, lacking = report.as_subset()
                notes += lacking
            reports.append(report)
    bad_rows = [bad_row_finding(found, label) for found in in_file_order(bad)]
    bad_rows += measures.findings(label) if measures else []
    notes += [note for report in reports for note in report.selection.notes]
    return Report(release, tuple(specimens), tuple(bad_rows), tuple(reports), tuple(notes))


def _inspect_package(
    catalogue: Catalogue, selection: Selection, specimens: Sequence[tuple[Split, int]]
) -> PackageReport:
    splits = [split for split, _ in specimens if split.name in selection.splits]
    joined = reconcile(catalogue, selection, splits, catalogue.list_images(selection, splits))
    labels = source_labels(selection)
    numbers = joined.located.sources
    images = np.bincount(numbers, minlength=len(labels)).tolist()
    sizes = plain_sizes(joined.located.sizes)
    of_source = np.bincount(numbers, sizes, minlength=len(labels)).astype(np.int64).tolist()
    sources = [SourceCount(*values) for values in zip(labels, images, of_source, strict=True)]
    absent = splits_without_images(selection, specimens)
    return PackageReport(selection, tuple(sources), joined.counts, absent, joined.reconciliation)
