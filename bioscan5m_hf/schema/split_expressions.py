"""Parse split expressions such as ``val``, ``seen``, ``pretrain+train`` and ``train[:10%]``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bioscan5m_hf.errors import ReleaseNotFound, UnknownName, UsageError
from bioscan5m_hf.schema.columns import SPLITS, Split, split_named
from bioscan5m_hf.schema.configurations import Configuration

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "seen": ("train", "val", "test"),
    "unseen": ("key_unseen", "val_unseen", "test_unseen"),
}
"""Groups of splits and their names, which are those of the package ``bioscan-dataset``."""

ALL: Final = "all"
_TERM: Final = re.compile(r"(?P<name>[^\[\]+,]*)(?P<slice>\[[^\[\]]*\])?(?P<rounding>\([^()]*\))?")


@dataclass(frozen=True, slots=True)
class Term:
    """One split of a split expression.

    Attributes:
        split: The split.
        slice: The slice after its name, such as ``[:10%]``; empty for the whole split.
    """

    split: Split
    slice: str = ""


def parse_split(
    expression: str, configuration: Configuration, available: Sequence[Split]
) -> list[Term]:
    """Parse a split expression.

    Args:
        expression: Names joined by ``+``, with or without slices. A name is upstream's name or
            the published name of a split, ``seen``, ``unseen`` or ``all``.
        configuration: The configuration whose splits are requested.
        available: The splits that have data.

    Returns:
        The splits in the order in which they are named.

    Raises:
        UnknownName: A name means no split of this configuration; the message lists those it has.
        UsageError: A term cannot be parsed, or a split is named twice without slices.
        ReleaseNotFound: A split has no data; a split that was named is never left out silently.
    """
    terms: list[Term] = []
    for text in expression.split("+"):
        match = _TERM.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"cannot read the split {text.strip()!r}",
                fix="write a name, or a name and a slice such as train[:10%]; several as train+val",
            )
        part = (match["slice"] or "") + (match["rounding"] or "")
        named = _splits_named(match["name"].strip(), configuration, available)
        terms += [Term(split, part) for split in named]
    names = [term.split.published for term in terms if not term.slice]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise UsageError(
            f"the split {expression!r} names {', '.join(sorted(repeated))} more than once",
            fix="name each split once",
        )
    return terms


def _splits_named(
    name: str, configuration: Configuration, available: Sequence[Split]
) -> list[Split]:
    if name == ALL:
        return [split for split in configuration.splits if split in available]
    if name in GROUPS:
        chosen = [split_named(member) for member in GROUPS[name]]
    else:
        chosen = [_one(name, configuration)]
    for split in chosen:
        if split not in configuration.splits:
            raise UnknownName.of(
                f"split of {configuration.name}", split.published, valid_splits(configuration)
            )
        if split not in available:
            there = ", ".join(s.published for s in SPLITS if s in available)
            raise ReleaseNotFound(
                f"there is no data of the split {split.published!r} of {configuration.name}",
                fix=f"splits that are there: {there or 'none'}",
            )
    return chosen


def _one(name: str, configuration: Configuration) -> Split:
    try:
        return split_named(name)
    except UnknownName:
        raise UnknownName.of("split", name, valid_splits(configuration)) from None


def valid_splits(configuration: Configuration) -> list[str]:
    """Every name by which splits of a configuration can be requested."""
    names = [split.published for split in configuration.splits]
    for split in configuration.splits:
        if split.name != split.published:
            names.insert(names.index(split.published) + 1, split.name)
    held = {split.name for split in configuration.splits}
    return [*names, *(group for group, members in GROUPS.items() if held.issuperset(members)), ALL]
