"""Define the interface of readers, and share what the readers of all formats need.

The columns of the predicate are read first, so that images are read only for matching rows.
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
"""Reads some columns of all rows, or of the rows with the given ascending numbers."""


class ImageReader(Protocol):
    """Reads images of a piece; it holds an open file, so each process makes its own."""

    def read(self, rows: Numbers) -> list[Encoded]:
        """Read the images of some rows, given by ascending numbers in the piece."""
        ...


class Blocks(Protocol):
    """An open shard that is read block by block: row groups, record batches or stretches of a tar.

    Attributes:
        edges: The start of each block, and the end of the last one, in rows or in bytes.
    """

    edges: Numbers

    def names(self, block: int) -> list[str]:
        """The processids of a block, in order; there may be none."""
        ...

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Read some rows of a block, given by ascending numbers in the block."""
        ...


class Piece(Protocol):
    """A part of a split that describes its data without holding them, so it can be pickled."""

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows in order, with at least the requested columns."""
        ...

    def divide(self) -> list[Piece]:
        """Divide the piece into several with the same rows, if that is possible."""
        ...

    def open_images(self) -> ImageReader:
        """Open the data for reading images of single rows."""
        ...


@dataclass(frozen=True, slots=True)
class ShardReader(ABC):
    """Reads a shard, or some blocks of it; one subclass for each format.

    Attributes:
        path: The shard.
        blocks: The numbers of its row groups or record batches; all by default.
        rows: The numbers of the rows that can be requested, if these are known and few; a reader
            may skip blocks without any of them.
        maps: Whether ``datasets`` can memory-map a local file of the format.
    """

    path: Location
    blocks: tuple[int, ...] | None = None
    rows: tuple[int, ...] | None = None
    maps: ClassVar[bool] = False

    @abstractmethod
    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows in order, with at least the requested columns."""

    @abstractmethod
    def divide(self) -> list[Piece]:
        """One piece for each block, if the format has blocks."""

    @abstractmethod
    def open_blocks(self, stack: ExitStack) -> Blocks:
        """Open the shard for reading single specimens.

        Raises:
            ArchiveError: It cannot be read.
        """

    @abstractmethod
    def open_images(self) -> ImageReader:
        """Open the shard for reading images of single rows.

        Raises:
            ArchiveError: It cannot be read.
        """


def require_columns(found: Iterable[str], wanted: Iterable[str], path: Location) -> None:
    """Check that a shard has the columns that will be read.

    Raises:
        ArchiveError: Some are missing; the message names them.
    """
    if missing := sorted(set(wanted) - set(found)):
        raise ArchiveError.without_columns(path, missing)


def read_wanted(choice: Choice, read: ReadColumns) -> Iterator[pa.Table]:
    """Read the requested rows of a block: first the predicate's columns, then the others."""
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
    """The bytes of some images of a column, without copying them.

    Raises:
        ImageError: An image is missing.
    """
    images = column.field("bytes")
    found: list[Encoded] = []
    for row in rows.tolist():
        buffer = images[row].as_buffer()
        if buffer is None:
            raise ImageError("the bytes of the image are missing", where=f"{path}: a row")
        found.append(memoryview(buffer).cast("B"))
    return found


def by_block(starts: Numbers, rows: Numbers) -> Iterator[tuple[int, Numbers]]:
    """Divide rows of a shard among its blocks.

    Args:
        starts: The number of the first row of each block, and of the row after the last.
        rows: The numbers of rows, ascending.

    Yields:
        The number of a block, and the numbers of its rows within the block.
    """
    blocks = np.searchsorted(starts, rows, side="right") - 1
    for block in np.unique(blocks).tolist():
        yield block, rows[blocks == block] - starts[block]
