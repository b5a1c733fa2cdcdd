"""What a record of upstream's metadata has to be, and what is said of one that is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.schema.columns import check_columns, column_names


@dataclass(frozen=True, slots=True)
class BadRow:
    """A record that cannot be taken as it is.

    Attributes:
        row: Which record of the file it is; the csv header is row 1, a JSON record starts at 1.
        processid: Its id, where that can be read.
        split: Its split, where that can be read.
        reason: A short constant such as ``unparsable-value``.
        detail: What was found, as a phrase.
    """

    row: int
    processid: str | None
    split: str | None
    reason: str
    detail: str


OnBadRow = Callable[[BadRow], None]


def in_file_order(found: Iterable[BadRow]) -> list[BadRow]:
    """Bad records as they stand in the file; what is wrong with their form is told ahead.

    Args:
        found: The records, in the order in which they were told.
    """
    return sorted(found, key=lambda bad: bad.row)


def raiser(label: str) -> OnBadRow:
    """What takes a bad record where none is allowed: it raises.

    Args:
        label: How messages name the file.
    """

    def stop(bad: BadRow) -> None:
        name = f" ({bad.processid})" if bad.processid else ""
        raise MetadataError(
            bad.detail,
            where=f"{label}: row {bad.row}{name}",
            fix="correct it, or convert with --on-error record to leave such rows out",
        )

    return stop


def check_header(names: list[str], label: str) -> None:
    """Check the names of the columns, whose order does not matter.

    Args:
        names: The names that a file has.
        label: How the message names their place.

    Raises:
        MetadataError: One is missing, unknown or there twice.
    """
    missing, extra, repeated = check_columns(names)
    problems = [
        f"{what} {', '.join(map(repr, found))}"
        for what, found in (("lacks", missing), ("has the unknown", extra), ("repeats", repeated))
        if found
    ]
    if problems:
        raise MetadataError(
            f"its columns are not upstream's: it {' and it '.join(problems)}",
            where=label,
            fix=f"expected {', '.join(column_names())}",
        )
