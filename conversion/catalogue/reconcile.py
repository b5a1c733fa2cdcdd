"""Join the images of a package with the metadata, and find the mismatches."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.catalogue.images import (
    NOWHERE,
    Located,
    list_orphans,
    locate,
    single_images,
)
from bioscan5m_hf.catalogue.specimens import Specimens
from bioscan5m_hf.errors import MismatchError, counted
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import Stray, source_labels
from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import SPLITS, Split
from conversion.catalogue.catalogue import Catalogue, ListedImages
from conversion.catalogue.findings import (
    CONFLICTING,
    MISPLACED,
    MISSING,
    ORPHAN,
    Findings,
    conflicting,
    misplaced,
    missing,
    orphaned,
)

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The mismatches between one package and the metadata.

    Attributes:
        package: The package.
        findings: Conflicting, missing, orphaned and misplaced images, in a fixed order.
        strays: Files in the archives that are not images.
    """

    package: str
    findings: Findings
    strays: tuple[Stray, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class SplitCount:
    """The specimens of one split, and how many have an image in a package.

    Attributes:
        split: The split.
        specimens: The number of rows in the metadata.
        with_image: The number of rows that have an image.
        bytes: The uncompressed size of these images.
    """

    split: Split
    specimens: int
    with_image: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The images of a package and the specimens they belong to.

    Attributes:
        located: The images with their specimens, without duplicates and conflicting images.
        counts: For each requested split, how many specimens it has and how many have an image.
        reconciliation: The mismatches.
    """

    located: Located
    counts: tuple[SplitCount, ...]
    reconciliation: Reconciliation


def reconcile(
    catalogue: Catalogue, selection: Selection, splits: Sequence[Split], listed: ListedImages
) -> Joined:
    """Join the images of a package with the metadata, and list the mismatches.

    Args:
        catalogue: The catalogue, after ``settle_rows``.
        selection: The sources of the package.
        splits: The requested splits.
        listed: The images of the package.
    """
    labels = source_labels(selection)
    specimens = catalogue.specimens
    images, conflicts = single_images(catalogue.of_selected(listed.images), specimens)
    located = locate(images, specimens)
    counts = _count(located, specimens, splits)
    kinds = (
        conflicting(conflicts, labels),
        missing(located, specimens, splits, conflicts),
        *orphaned(list_orphans(located.orphans(), specimens), labels),
        misplaced([stray for stray in listed.strays if stray.image]),
    )
    findings = Findings(kinds).choose(lambda kind: bool(kind.splits))
    others = tuple(stray for stray in listed.strays if not stray.image)
    reconciliation = Reconciliation(selection.package, findings, others)
    return Joined(located, counts, reconciliation)


def plain_sizes(sizes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Limit sizes to the largest possible image, as a damaged directory may claim any size."""
    return np.minimum(sizes, MAX_IMAGE_BYTES).astype(np.int64)


def _count(
    located: Located, specimens: Specimens, splits: Sequence[Split]
) -> tuple[SplitCount, ...]:
    found = located.positions != NOWHERE
    images = np.searchsorted(located.positions[found], specimens.edges())
    bytes_before = np.append(0, np.cumsum(plain_sizes(located.sizes[found])))[images]
    of_split = zip(
        *(np.diff(values).tolist() for values in (specimens.edges(), images, bytes_before)),
        strict=True,
    )
    counts = [SplitCount(split, *values) for split, values in zip(SPLITS, of_split, strict=True)]
    return tuple(counts[SPLITS.index(split)] for split in splits)


def require_fit(reconciliation: Reconciliation, release: str, *, subset: bool = False) -> None:
    """Check that there are no mismatches.

    Args:
        reconciliation: The mismatches.
        release: The release, for the message.
        subset: Whether specimens may lack an image.

    Raises:
        MismatchError: There are some; the message counts them and names the first few.
    """
    if conflicts := reconciliation.findings.of(CONFLICTING):
        first = next(iter(conflicts))
        raise MismatchError(
            f"there are different bytes for {counted(len(conflicts), 'image')}; the first is "
            f"{first.processid} ({first.detail})",
            where=f"{first.archive}: {first.member}",
            fix="keep only the archive that is right, or leave these specimens out with "
            "--on-error record",
        )
    problems = [
        f"{_described(reason, len(found))} ({_named(found)})"
        for reason in _NOUNS
        if (found := reconciliation.findings.of(reason)) and not (subset and reason == MISSING)
    ]
    if problems:
        raise MismatchError(
            f"{reconciliation.package} and the metadata do not fit: {', '.join(problems)}",
            where=release,
            fix="list all with 'bioscan5m inspect --findings FILE', and add what is missing; if "
            "the release is incomplete on purpose, convert with --subset; --on-error record "
            "leaves out everything that is flawed",
        )


def take_as_subset(reconciliation: Reconciliation) -> tuple[Reconciliation, tuple[str, ...]]:
    """Treat a release as a deliberate subset: missing data become notes instead of errors.

    Args:
        reconciliation: The mismatches.

    Returns:
        The mismatches that remain, including specimens without an image, which are left out; and
        the notes about missing data, as sentences.
    """
    findings = reconciliation.findings
    notes = tuple(
        f"{reconciliation.package}/{split}: {_described(kind.reason, count)}, as in a subset"
        for kind in findings.kinds
        if kind.absent
        for split, count in kind.splits.items()
    )
    kept = findings.choose(lambda kind: not kind.absent or kind.reason == MISSING)
    return replace(reconciliation, findings=kept), notes


_NOUNS = {
    MISSING: ("specimen", "without an image"),
    ORPHAN: ("image", "without a specimen"),
    MISPLACED: ("image", "in an unknown place"),
}


def _described(reason: str, count: int) -> str:
    noun, what = _NOUNS[reason]
    return f"{counted(count, noun)} {what}"


def _named(findings: Findings) -> str:
    first = itertools.islice(findings, _SHOWN)
    names = [finding.processid or str(finding.member) for finding in first]
    return ", ".join(names) + (", …" if len(findings) > _SHOWN else "")
