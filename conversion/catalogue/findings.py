"""List the mismatches in a package, and make each finding only when it is read.

If a few specimens of a release are chosen, millions of images have no specimen. Each finding takes
half a kilobyte, while the columns that it is made from take some tens of bytes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bioscan5m_hf.catalogue.images import NOWHERE, Conflict, Located, Orphan, Orphans
from bioscan5m_hf.catalogue.specimens import Specimens
from bioscan5m_hf.release.image_index import Stray
from bioscan5m_hf.release.layout import member_name
from bioscan5m_hf.schema.columns import SPLITS, Split
from conversion.rejects import NO_ROW, Finding

CONFLICTING = "conflicting-images"
MISSING = "missing-image"
ORPHAN = "orphan-image"
MISPLACED = "misplaced-image"
_STRETCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Kind:
    """Findings of one kind.

    Attributes:
        reason: Their reason.
        splits: How many there are in each split; ``None`` counts those of unknown split.
        make: Makes them, in a fixed order, at each call.
        absent: Whether they are expected in a deliberate subset of a release.
    """

    reason: str
    splits: Counter[str | None]
    make: Callable[[], Iterator[Finding]] = field(repr=False, compare=False)
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """The mismatches of a package; they can be iterated any number of times.

    Attributes:
        kinds: The kinds of findings; none of them is empty.
    """

    kinds: tuple[Kind, ...] = ()

    def __iter__(self) -> Iterator[Finding]:
        for kind in self.kinds:
            yield from kind.make()

    def __len__(self) -> int:
        return sum(kind.splits.total() for kind in self.kinds)

    def of(self, reason: str) -> Findings:
        """The findings of one reason."""
        return self.choose(lambda kind: kind.reason == reason)

    def choose(self, wanted: Callable[[Kind], bool]) -> Findings:
        """The findings of the kinds that ``wanted`` accepts."""
        return Findings(tuple(kind for kind in self.kinds if wanted(kind)))


def conflicting(conflicts: Sequence[Conflict], labels: Sequence[str]) -> Kind:
    """Make findings of images whose sources hold different bytes.

    Args:
        conflicts: The images.
        labels: The names of the sources.
    """

    def make() -> Iterator[Finding]:
        for each in conflicts:
            yield Finding(
                CONFLICTING,
                each.processid,
                SPLITS[each.split].name,
                labels[each.sources[0]],
                member_name(each.folder, each.processid, each.ending),
                f"other bytes under the same name in {labels[each.sources[1]]}",
            )

    return Kind(CONFLICTING, Counter(SPLITS[each.split].name for each in conflicts), make)


def missing(
    located: Located, specimens: Specimens, splits: Sequence[Split], conflicts: Sequence[Conflict]
) -> Kind:
    """Make findings of specimens without an image.

    Args:
        located: The images and their specimens.
        specimens: The specimens.
        splits: The requested splits.
        conflicts: The conflicting images, whose specimens are not reported here.
    """
    lacking = np.ones(len(specimens.names), np.bool_)
    lacking[located.positions[located.positions != NOWHERE]] = False
    lacking[[conflict.position for conflict in conflicts]] = False
    counts: Counter[str | None] = Counter()
    for split, (start, stop) in zip(
        SPLITS, itertools.pairwise(specimens.edges().tolist()), strict=True
    ):
        if split in splits:
            counts[split.name] = int(lacking[start:stop].sum())
        else:
            lacking[start:stop] = False
    positions = np.flatnonzero(lacking)

    def make() -> Iterator[Finding]:
        ends = np.searchsorted(specimens.edges(), positions, side="right") - 1
        for start in range(0, len(positions), _STRETCH):
            here = slice(start, start + _STRETCH)
            names = specimens.names.take(pa.array(positions[here])).to_pylist()
            for name, split in zip(names, ends[here].tolist(), strict=True):
                detail = "no archive has an image of it"
                yield Finding(MISSING, name, SPLITS[split].name, None, None, detail)

    return Kind(MISSING, +counts, make, absent=True)


def orphaned(orphans: Orphans, labels: Sequence[str]) -> tuple[Kind, Kind]:
    """Make findings of images without a specimen in their split.

    Args:
        orphans: The images.
        labels: The names of the sources.

    Returns:
        The images whose specimen is in no split, and those whose specimen is in another split.
    """
    strangers = orphans.actual == NOWHERE
    return (
        _orphans(orphans.choose(strangers), labels, absent=True),
        _orphans(orphans.choose(~strangers), labels, absent=False),
    )


def _orphans(orphans: Orphans, labels: Sequence[str], *, absent: bool) -> Kind:
    numbers = np.bincount(orphans.splits, minlength=len(SPLITS)).tolist()
    counts = Counter({split.name: n for split, n in zip(SPLITS, numbers, strict=True)})

    def make() -> Iterator[Finding]:
        for each in orphans:
            yield _orphan(each, labels)

    return Kind(ORPHAN, Counter[str | None](+counts), make, absent)


def _orphan(orphan: Orphan, labels: Sequence[str]) -> Finding:
    detail = (
        NO_ROW
        if orphan.actual is None
        else f"the metadata places it in {SPLITS[orphan.actual].name}"
    )
    return Finding(
        ORPHAN,
        orphan.processid,
        SPLITS[orphan.split].name,
        labels[orphan.source],
        member_name(orphan.folder, orphan.processid, orphan.ending),
        detail,
    )


def misplaced(strays: Sequence[Stray]) -> Kind:
    """Make findings of images that are not in a folder where upstream puts them.

    Args:
        strays: The images.
    """

    def make() -> Iterator[Finding]:
        for each in strays:
            yield Finding(MISPLACED, None, None, each.archive, each.member, each.detail)

    return Kind(MISPLACED, +Counter[str | None]({None: len(strays)}), make)
