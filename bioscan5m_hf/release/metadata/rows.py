"""Check the header of upstream's metadata, and describe records that do not fit the schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.schema.columns import check_columns, column_names

# Names that pandas gives to an index, when writing it and when reading it back as a column.
_INDEX: Final = re.compile(r"|index|level_\d+|Unnamed: \d+(?:\.\d+)*")
_MOST_LEVELS: Final = 9
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that does not fit the schema.

    Attributes:
        row: Its number in the file; the csv header is row 1, the first JSON record is row 1.
        processid: Its id, if that can be read.
        split: Its split, if that can be read.
        reason: A short constant such as ``unparsable-value``.
        detail: What was found, as a phrase.
    """

    row: int
    processid: str | None
    split: str | None
    reason: str
    detail: str


OnBadRow = Callable[[BadRow], None]

OnNote = Callable[[str], None]
"""Takes a sentence that a user should know about a file that can be read."""

Texts = Iterator[tuple[pa.RecordBatch, npt.NDArray[np.uint64]]]
"""Batches of upstream's columns as text, where empty strings are null; and the rows' numbers."""


def in_file_order(found: Iterable[BadRow]) -> list[BadRow]:
    """Sort bad records by row, because malformed records are reported before bad values."""
    return sorted(found, key=lambda bad: bad.row)


def raiser(label: str) -> OnBadRow:
    """A handler of bad records that raises ``MetadataError`` for the first one."""

    def stop(bad: BadRow) -> None:
        name = f" ({bad.processid})" if bad.processid else ""
        raise MetadataError(
            bad.detail,
            where=f"{label}: row {bad.row}{name}",
            fix="correct it, or convert with --on-error record to leave such rows out",
        )

    return stop


def check_header(names: Iterable[str], label: str, note: OnNote) -> frozenset[str]:
    """Check the names of the columns, whose order does not matter.

    Args:
        names: The names in the file.
        label: The name of the file or row in messages.
        note: Takes a sentence about the columns that are not read.

    Returns:
        The columns that pandas wrote for its index, which are not read.

    Raises:
        MetadataError: A column is missing, unknown or repeated.
    """
    names = list(names)
    found = [name for name in names if _INDEX.fullmatch(name)]
    index = frozenset(found if len(found) <= _MOST_LEVELS else ())
    missing, extra, repeated = check_columns(name for name in names if name not in index)
    problems = [
        f"{what} {_listed(wrong)}"
        for what, wrong in (("lacks", missing), ("has the unknown", extra), ("repeats", repeated))
        if wrong
    ]
    if problems:
        raise MetadataError(
            f"its columns are not upstream's: it {' and it '.join(problems)}",
            where=label,
            fix=f"expected {', '.join(column_names())}",
        )
    if index:
        note(f"{label}: the column {_listed(sorted(index))} is an index of pandas, and is not read")
    return index


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
