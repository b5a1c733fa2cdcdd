"""Do images and metadata fit together? What does not is an error, or becomes a record."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.catalogue.images import (
    NOWHERE,
    Conflict,
    Located,
    Orphan,
    list_orphans,
    locate,
    single_images,
)
from bioscan5m_hf.catalogue.specimens import Specimens
from bioscan5m_hf.errors import MismatchError, counted
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import Stray, source_labels
from bioscan5m_hf.release.layout import member_name
from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import SPLITS, Split
from conversion.catalogue.catalogue import Catalogue, ListedImages
from conversion.rejects import NO_ROW, Finding

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What does not fit in one package.

    Attributes:
        package: The package.
        findings: Conflicting, missing, orphaned and misplaced images, in a fixed order.
        strays: Files in the archives that are not images.
    """

    package: str
    findings: tuple[Finding, ...]
    strays: tuple[Stray, ...] = field(default=())

    def of(self, reason: str) -> list[Finding]:
        """The findings of one kind."""
        return [finding for finding in self.findings if finding.reason == reason]


@dataclass(frozen=True, slots=True)
class SplitCount:
    """How the specimens of one split and package fit.

    Attributes:
        split: The split.
        specimens: Rows of the metadata.
        with_image: Rows that have an image.
        bytes: Plain bytes of these images.
    """

    split: Split
    specimens: int
    with_image: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Joined:
    """The images of a package and the specimens they belong to.

    Attributes:
        located: The images, each once and none that conflict, and their specimens.
        counts: For each split that is wanted, its specimens and how many have an image.
        reconciliation: What does not fit.
    """

    located: Located
    counts: tuple[SplitCount, ...]
    reconciliation: Reconciliation


def reconcile(
    catalogue: Catalogue, selection: Selection, splits: Sequence[Split], listed: ListedImages
) -> Joined:
    """Join the images of a package with the metadata, and list what does not fit.

    Args:
        catalogue: With the metadata settled.
        selection: The sources of the package.
        splits: The splits that are wanted.
        listed: The images of the package.
    """
    labels = source_labels(selection)
    specimens = catalogue.specimens
    images, conflicts = single_images(catalogue.of_selected(listed.images), specimens)
    located = locate(images, specimens)
    counts = _count(located, specimens, splits)
    findings = [_conflict_finding(conflict, labels) for conflict in conflicts]
    findings += _missing_findings(
        located, specimens, splits, {conflict.position for conflict in conflicts}
    )
    orphans = list_orphans(located.orphans(), specimens)
    findings += [_orphan_finding(orphan, labels) for orphan in orphans]
    findings += [
        Finding("misplaced-image", None, None, stray.archive, stray.member, stray.detail)
        for stray in listed.strays
        if stray.image
    ]
    others = tuple(stray for stray in listed.strays if not stray.image)
    reconciliation = Reconciliation(selection.package, tuple(findings), others)
    return Joined(located, counts, reconciliation)


def plain_sizes(sizes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Sizes as they are counted: a directory may claim any, an image has only so many bytes."""
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


def _missing_findings(
    located: Located, specimens: Specimens, splits: Sequence[Split], conflicting: set[int]
) -> Iterator[Finding]:
    lacking = np.ones(len(specimens.names), np.bool_)
    lacking[located.positions[located.positions != NOWHERE]] = False
    lacking[list(conflicting)] = False
    for split, (start, stop) in zip(
        SPLITS, itertools.pairwise(specimens.edges().tolist()), strict=True
    ):
        if split in splits:
            missing = pa.array(np.flatnonzero(lacking[start:stop]) + start)
            for name in specimens.names.take(missing).to_pylist():
                detail = "no archive has an image of it"
                yield Finding("missing-image", name, split.name, None, None, detail)


def _conflict_finding(conflict: Conflict, labels: Sequence[str]) -> Finding:
    return Finding(
        "conflicting-images",
        conflict.processid,
        SPLITS[conflict.split].name,
        labels[conflict.sources[0]],
        member_name(conflict.folder, conflict.processid, conflict.ending),
        f"other bytes under the same name in {labels[conflict.sources[1]]}",
    )


def _orphan_finding(orphan: Orphan, labels: Sequence[str]) -> Finding:
    told = (
        NO_ROW
        if orphan.actual is None
        else f"the metadata places it in {SPLITS[orphan.actual].name}"
    )
    return Finding(
        "orphan-image",
        orphan.processid,
        SPLITS[orphan.split].name,
        labels[orphan.source],
        member_name(orphan.folder, orphan.processid, orphan.ending),
        told,
    )


def require_fit(reconciliation: Reconciliation, release: str, *, subset: bool = False) -> None:
    """Stop where anything does not fit.

    Args:
        reconciliation: What was found.
        release: The release, for the message.
        subset: Whether specimens may lack an image.

    Raises:
        MismatchError: Something does not fit; the message counts it and names the first few.
    """
    if conflicts := reconciliation.of("conflicting-images"):
        first = conflicts[0]
        raise MismatchError(
            f"two archives hold other bytes of {counted(len(conflicts), 'image')}; the first is "
            f"{first.processid} ({first.detail})",
            where=f"{first.archive}: {first.member}",
            fix="remove the archive that is wrong, or leave these specimens out with "
            "--on-error record",
        )
    problems = [
        f"{len(found):,} {noun} ({_named(found)})"
        for reason, noun in _NOUNS.items()
        if (found := reconciliation.of(reason)) and not (subset and reason == _MISSING)
    ]
    if problems:
        raise MismatchError(
            f"{reconciliation.package} and the metadata do not fit: {', '.join(problems)}",
            where=release,
            fix="list all with 'bioscan5m inspect --findings FILE', and add what is missing; if "
            "this is a selection on purpose, convert with --subset, or go on without all that is "
            "flawed with --on-error record",
        )


def take_as_subset(reconciliation: Reconciliation) -> tuple[Reconciliation, tuple[str, ...]]:
    """Take a release as a selection on purpose: what is absent is told of, and is no error.

    Args:
        reconciliation: What was found.

    Returns:
        What does not fit even so, and specimens without an image, which are left out; and what is
        absent, as sentences.
    """
    strangers = {id(f) for f in reconciliation.of("orphan-image") if f.detail == NO_ROW}
    absent = Counter(
        (finding.reason, finding.split)
        for finding in reconciliation.findings
        if id(finding) in strangers or finding.reason == _MISSING
    )
    notes = tuple(
        f"{reconciliation.package}/{split}: {count:,} {_NOUNS[reason]}, as in a subset"
        for (reason, split), count in absent.items()
    )
    kept = tuple(f for f in reconciliation.findings if id(f) not in strangers)
    return replace(reconciliation, findings=kept), notes


_MISSING = "missing-image"
_NOUNS = {
    _MISSING: "specimens without an image",
    "orphan-image": "images without a specimen",
    "misplaced-image": "images in unknown places",
}


def _named(findings: list[Finding]) -> str:
    names = [finding.processid or str(finding.member) for finding in findings[:_SHOWN]]
    return ", ".join(names) + (", …" if len(findings) > _SHOWN else "")
