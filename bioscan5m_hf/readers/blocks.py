"""Blocks of a shard: its row groups, record batches or stretches, each of which is read alone.

A lookup asks a few blocks for their processids, and reads single rows of one of them.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa

from bioscan5m_hf.readers.parquet_pages import ImagePages
from bioscan5m_hf.readers.pieces import arrow_batches, opened_parquet, read_group
from bioscan5m_hf.readers.query import PROCESSID, Numbers
from bioscan5m_hf.readers.tar import TarEntry, read_samples, table_of, tar_samples
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import HeldPart

# The footer of a shard takes about a thousandth of it, and the page index as much again.
_TAIL_SHARE: Final = 1000
_TAIL_BYTES: Final = (32 << 10, 512 << 10)
# Holds some specimens, where images are not of full size.
_STRETCH_BYTES: Final = 128 << 10
_TAR_BLOCK: Final = 512
_MAGIC: Final = slice(257, 262)


class Blocks(Protocol):
    """A shard that is read block by block.

    Attributes:
        edges: Where each block begins, and where the last one ends, in rows or in bytes.
    """

    edges: np.ndarray[Any, np.dtype[np.int64]]

    def names(self, block: int) -> list[str]:
        """The processids of a block, in order; there may be none."""
        ...

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Some rows of a block, whose numbers in it rise."""
        ...


def open_blocks(path: Location, stack: ExitStack) -> Blocks:
    """Open a shard.

    Args:
        path: Where it is; its suffix tells its format.
        stack: Closes it.

    Raises:
        ArchiveError: It cannot be read.
    """
    suffix = PurePosixPath(str(path)).suffix
    if suffix == ".arrow":
        return _ArrowBlocks(path)
    source = stack.enter_context(open_location(path))
    if suffix == ".tar":
        return _TarBlocks(path, source)
    return _ParquetBlocks(path, source, stack)


class _ParquetBlocks:
    """The row groups of a Parquet shard."""

    def __init__(self, path: Location, source: Source, stack: ExitStack) -> None:
        self._path = path
        self._source = source
        if not isinstance(path, Path):
            shortest, longest = _TAIL_BYTES
            tail = min(max(source.size // _TAIL_SHARE, shortest), longest)
            self._source = HeldPart(source, max(0, source.size - tail), source.size)
        self._file = stack.enter_context(opened_parquet(path, self._source))
        metadata = self._file.metadata
        counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self.edges = np.cumsum([0, *counts])
        self._pages = ImagePages.of(self._source, metadata)

    def names(self, block: int) -> list[str]:
        """The processids of a row group, a column of some kilobytes."""
        table = read_group(self._path, self._file, None, block, [PROCESSID], None)
        names: list[str] = table[PROCESSID].to_pylist()
        return names

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Some rows of a row group; of images the pages that hold them."""
        return read_group(self._path, self._file, self._pages, block, columns, rows)


class _ArrowBlocks:
    """The record batches of an Arrow shard."""

    def __init__(self, path: Location) -> None:
        self._batches = list(arrow_batches(path))
        self.edges = np.arange(len(self._batches) + 1)

    def names(self, block: int) -> list[str]:
        """The processids of a record batch."""
        names: list[str] = self._batches[block]([PROCESSID], None)[PROCESSID].to_pylist()
        return names

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Some rows of a record batch; over a network its images are fetched as a whole."""
        return self._batches[block](columns, rows)


class _TarBlocks:
    """Stretches of a WebDataset shard. A tar has no directory, but a header can be recognised."""

    def __init__(self, path: Location, source: Source) -> None:
        self._where = str(path)
        self._source = source
        self.edges = np.append(np.arange(0, source.size, _STRETCH_BYTES), source.size)
        self._held: dict[int, tuple[HeldPart, dict[str, int]]] = {}

    def names(self, block: int) -> list[str]:
        """The processids of the specimens that begin in a stretch."""
        return list(self._members(block)[1])

    def _members(self, block: int) -> tuple[HeldPart, dict[str, int]]:
        """A stretch, and where in the tar each specimen that begins in it does."""
        if block not in self._held:
            start, stop = self.edges[block : block + 2].tolist()
            held = HeldPart(self._source, start, min(stop + _STRETCH_BYTES // 4, self._source.size))
            self._held[block] = held, dict(_images_from(held, start, stop))
        return self._held[block]

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Some specimens of a stretch."""
        held, members = self._members(block)
        starts = list(members.values())
        samples = [
            next(tar_samples(held, self._where, starts[row])) for row in np.asarray(rows).tolist()
        ]
        table = table_of([row for row, _ in samples], self._where)
        return read_samples(held, table, [extent for _, extent in samples], columns, None)


def _images_from(source: Source, start: int, stop: int) -> list[tuple[str, int]]:
    """The processid of each image whose header stands in a stretch, and where that is."""
    found: list[tuple[str, int]] = []
    position = start
    while position < stop:
        header = source.read_at(position, _TAR_BLOCK)
        entry = _entry(header)
        if entry is None:
            # Within a member, until the first header, or behind the last.
            position += _TAR_BLOCK
            continue
        stem, _, suffix = entry.name.partition(".")
        if suffix == "jpg":
            found.append((stem, position))
        position += _TAR_BLOCK * (1 - -entry.size // _TAR_BLOCK)
    return found


def _entry(header: bytes) -> tarfile.TarInfo | None:
    if header[_MAGIC] != b"ustar":
        return None
    try:
        return TarEntry.frombuf(header, "utf-8", "strict")
    except (ValueError, tarfile.TarError):
        return None
