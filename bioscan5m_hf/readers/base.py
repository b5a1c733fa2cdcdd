"""Define what every reader of a part of a split does, and share what readers of shards need.

Of a row that is not wanted no image is looked at: the columns that decide are read first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import ArchiveError, ImageError
from bioscan5m_hf.query.choice import Choice, Numbers, taken
from bioscan5m_hf.storage.path import Location

Encoded = bytes | memoryview
"""The bytes of one image."""

ReadColumns = Callable[[Sequence[str], Numbers | None], pa.Table]
"""Reads some columns, of all rows or of some, whose numbers rise."""


class ImageReader(Protocol):
    """Reads images of a piece, whose file it has opened: made in the process that reads."""

    def read(self, rows: Numbers) -> list[Encoded]:
        """The bytes of the images of some rows, whose numbers in the piece rise."""
        ...


class Blocks(Protocol):
    """An open shard that is read block by block: row groups, record batches or stretches.

    Attributes:
        edges: Where each block begins, and where the last one ends, in rows or in bytes.
    """

    edges: Numbers

    def names(self, block: int) -> list[str]:
        """The processids of a block, in order; there may be none."""
        ...

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Some rows of a block, whose numbers in it rise."""
        ...


class Piece(Protocol):
    """A part of a split, small enough to be handed to a worker by its description."""

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted, in order, with the columns that are wanted at least."""
        ...

    def divide(self) -> list[Piece]:
        """The same rows as several pieces, where that is possible."""
        ...

    def open_images(self) -> ImageReader:
        """Open what it reads, for images of single rows."""
        ...


@dataclass(frozen=True, slots=True)
class ShardReader(ABC):
    """Reads a shard, or some blocks of it; one subclass for each format.

    Attributes:
        path: Where the shard is.
        blocks: The numbers of its row groups or record batches; all by default.
        rows: The numbers of the rows that may be wanted, where they are known and few; a format may
            pass over blocks without any.
        maps: Whether a local file of the format is a stream that ``datasets`` can map into memory.
    """

    path: Location
    blocks: tuple[int, ...] | None = None
    rows: tuple[int, ...] | None = None
    maps: ClassVar[bool] = False

    @abstractmethod
    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted, in order, with the columns that are wanted at least."""

    @abstractmethod
    def divide(self) -> list[Piece]:
        """One piece for each block, where the format has blocks."""

    @abstractmethod
    def open_blocks(self, stack: ExitStack) -> Blocks:
        """Open the shard, for single specimens.

        Raises:
            ArchiveError: It cannot be read.
        """

    @abstractmethod
    def open_images(self) -> ImageReader:
        """Open the shard, for images of single rows.

        Raises:
            ArchiveError: It cannot be read.
        """


def require_columns(found: Iterable[str], wanted: Iterable[str], path: Location) -> None:
    """See that a shard has the columns that are to be read from it.

    Raises:
        ArchiveError: It lacks some of them; the message names them.
    """
    if missing := sorted(set(wanted) - set(found)):
        raise ArchiveError.without_columns(path, missing)


def read_wanted(choice: Choice, read: ReadColumns) -> Iterator[pa.Table]:
    """Read the rows of a block that are wanted: what decides first, then the other columns."""
    deciding = choice.deciding
    if not deciding:
        yield read(choice.columns, None)
        return
    first = read(deciding, None)
    chosen = choice.rows(first)
    if not len(chosen):
        return
    table = taken(first, chosen)
    if missing := [name for name in choice.columns if name not in deciding]:
        other = read(missing, chosen)
        for field, column in zip(other.schema, other.columns, strict=True):
            table = table.append_column(field, column)
    yield table.select(list(choice.columns))


def encoded_images(column: pa.StructArray, rows: Numbers, path: Location) -> list[Encoded]:
    """The bytes of some images of a column, where they lie in its memory.

    Raises:
        ImageError: One of them has none.
    """
    images = column.field("bytes")
    found: list[Encoded] = []
    for row in rows.tolist():
        buffer = images[row].as_buffer()
        if buffer is None:
            raise ImageError("there are no bytes of the image", where=f"{path}: a row")
        found.append(memoryview(buffer).cast("B"))
    return found


def by_block(starts: Numbers, rows: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Divide rows of a shard among its blocks.

    Args:
        starts: The number of the first row of each block, and of the row after the last.
        rows: The numbers of rows, which rise.

    Yields:
        The number of a block, and the numbers that the rows have in it.
    """
    blocks = np.searchsorted(starts, rows, side="right") - 1
    for block in np.unique(blocks).tolist():
        yield block, rows[blocks == block] - starts[block]
