"""Combine the predicate on rows and the projection on columns, which every reader applies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, column_names
from bioscan5m_hf.schema.order import Keys, keys_of

Numbers = np.ndarray[Any, np.dtype[np.int64]]

PROCESSID: Final = "processid"


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """The requested rows and columns.

    Attributes:
        columns: The requested columns, in the order of the schema.
        filter: The condition on rows, if there is one.
        keep: The sorted keys of the requested specimens; ``None`` for all.
    """

    columns: tuple[str, ...]
    filter: Filter | None = None
    keep: Keys | None = None

    @property
    def image(self) -> bool:
        """Whether images are requested."""
        return IMAGE_COLUMN in self.columns

    @property
    def deciding(self) -> tuple[str, ...]:
        """The columns that the predicate reads; none if every row is requested."""
        names = list(self.filter.columns) if self.filter else []
        if self.keep is not None and PROCESSID not in names:
            names.append(PROCESSID)
        return tuple(names)

    @property
    def plain(self) -> tuple[str, ...]:
        """The requested columns without the image."""
        return tuple(name for name in self.columns if name != IMAGE_COLUMN)

    def rows(self, table: pa.Table) -> Numbers:
        """The numbers of the requested rows."""
        chosen = self.filter.rows(table) if self.filter else np.arange(table.num_rows)
        if self.keep is not None:
            keys = keys_of(table[PROCESSID].take(pa.array(chosen)))
            at = np.searchsorted(self.keep, keys)
            at[at == len(self.keep)] = 0
            chosen = chosen[self.keep[at] == keys] if len(self.keep) else chosen[:0]
        return chosen


def require_list(option: str, value: object) -> None:
    """Check that the value of an option is not a single string in place of a list.

    Raises:
        UsageError: It is.
    """
    if isinstance(value, str):
        raise UsageError(f"{option}= must be a list, not {value!r}", fix=f"write [{value!r}]")


def choose_columns(columns: Sequence[str] | None, *, image: bool) -> tuple[str, ...]:
    """Check the option ``columns``.

    Args:
        columns: The requested columns; all by default.
        image: Whether the configuration has images.

    Returns:
        The columns in the order of the schema.

    Raises:
        UnknownName: There is no such column in the configuration.
        UsageError: The list is empty, or a string was given instead of a list.
    """
    known = [IMAGE_COLUMN, *column_names()] if image else column_names()
    if columns is None:
        return tuple(known)
    require_list("columns", columns)
    wanted = list(columns)
    for name in wanted:
        if name not in known:
            raise UnknownName.of("column", str(name), known)
    if not wanted:
        raise UsageError("columns= is empty", fix="name a column, or leave it out for all")
    return tuple(name for name in known if name in wanted)


def taken(table: pa.Table, chosen: Numbers | None) -> pa.Table:
    """Take some rows of a table by ascending numbers; all rows for ``None``."""
    if chosen is None or len(chosen) == table.num_rows:
        return table
    return table.take(pa.array(chosen))
