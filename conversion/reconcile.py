"""Do images and metadata fit together? What does not is an error, or becomes a record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bioscan5m_hf.errors import MismatchError
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import Stray, source_labels
from bioscan5m_hf.schema.columns import Split
from conversion.catalogue import Catalogue
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


def reconcile(
    catalogue: Catalogue,
    selection: Selection,
    splits: Sequence[Split],
    strays: Sequence[Stray] | None = None,
) -> Reconciliation:
    """Join the images of a package with the metadata, and list what does not fit.

    Afterwards the catalogue holds one place for each image, and none for images that conflict.

    Args:
        catalogue: With the metadata loaded and placed.
        selection: The sources of the package.
        splits: The splits that are wanted.
        strays: What ``load_images`` gave, where the catalogue holds these images already.

    Raises:
        ArchiveError: An archive cannot be read.
    """
    labels = source_labels(selection)
    if strays is None:
        strays = catalogue.load_images(selection, splits)
    findings = catalogue.settle_duplicates(labels)
    if findings:
        catalogue.drop_images(findings)
    conflicting = {finding.processid for finding in findings}
    findings += [
        Finding("missing-image", processid, split, None, None, "no archive has an image of it")
        for processid, split in catalogue.missing_images(splits)
        if processid not in conflicting
    ]
    findings += catalogue.orphan_images(labels)
    findings += [
        Finding("misplaced-image", None, None, stray.archive, stray.member, stray.detail)
        for stray in strays
        if stray.image
    ]
    others = tuple(stray for stray in strays if not stray.image)
    return Reconciliation(selection.package, tuple(findings), others)


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
            f"{len(conflicts):,} images stand in two archives with different bytes; the first is "
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
