"""Read Parquet shards, and of the images only the pages that hold a requested row."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.query.choice import PROCESSID, Choice, Numbers, taken
from bioscan5m_hf.readers.base import (
    Blocks,
    Encoded,
    ImageReader,
    Piece,
    ShardReader,
    by_block,
    encoded_images,
    read_wanted,
    require_columns,
)
from bioscan5m_hf.readers.images import open_mapped
from bioscan5m_hf.readers.parquet_pages import ImagePages
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, image_type
from bioscan5m_hf.storage.local import Source, SourceStream
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import HeldPart

# The footer takes about a thousandth of a shard, and the page index as much again.
_TAIL_SHARE: Final = 1000
_TAIL_BYTES: Final = (32 << 10, 512 << 10)


class ParquetReader(ShardReader):
    """A Parquet shard, or some row groups of it."""

    __slots__ = ()

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows; of row groups without any, only the predicate's columns.

        Of the images, only pages with a requested row are read, unless the images are compressed or
        there is no page index.
        """
        with open_location(self.path) as source, _opened(self.path, source) as file:
            wanted = (*choice.deciding, *choice.columns)
            require_columns(file.schema_arrow.names, wanted, self.path)
            pages = None
            if choice.image and choice.deciding:
                pages = ImagePages.of(source, file.metadata)
            for group in self._groups(file):
                read = functools.partial(_read_group, self.path, file, pages, group)
                yield from read_wanted(choice, read)

    def _groups(self, file: pq.ParquetFile) -> tuple[int, ...]:
        groups = range(file.num_row_groups) if self.blocks is None else self.blocks
        if self.rows is None:
            return tuple(groups)
        held = {group for group, _ in by_block(_starts(file), np.array(self.rows, np.int64))}
        return tuple(group for group in groups if group in held)

    def divide(self) -> list[Piece]:
        """One piece for each row group."""
        with open_location(self.path) as source, _opened(self.path, source) as file:
            return [ParquetReader(self.path, (group,)) for group in self._groups(file)]

    def open_blocks(self, stack: ExitStack) -> Blocks:
        """Open the shard; its blocks are its row groups."""
        return _Blocks(self.path, stack.enter_context(open_location(self.path)), stack)

    def open_images(self) -> ImageReader:
        """Open the shard; images are read from single pages if possible, else from row groups."""
        return _Images(self.path)


def _opened(path: Location, source: Source) -> pq.ParquetFile:
    """Open a file; local files are memory-mapped."""
    try:
        if isinstance(path, Path):
            return pq.ParquetFile(path, memory_map=True)
        return pq.ParquetFile(pa.PythonFile(SourceStream(source), mode="r"), pre_buffer=True)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError.unreadable(path, error) from error


def _starts(file: pq.ParquetFile) -> Numbers:
    """The number of the first row of each row group, and of the row after the last."""
    metadata = file.metadata
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    starts: Numbers = np.cumsum([0, *counts])
    return starts


def _read_columns(
    path: Location, file: pq.ParquetFile, group: int, names: Sequence[str]
) -> pa.Table:
    try:
        return file.read_row_group(group, columns=list(names), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError.unreadable(path, error) from error


def _read_group(
    path: Location,
    file: pq.ParquetFile,
    pages: ImagePages | None,
    group: int,
    names: Sequence[str],
    chosen: Numbers | None,
) -> pa.Table:
    data = None
    if pages is not None and chosen is not None and IMAGE_COLUMN in names:
        data = pages.read(group, chosen)
    if data is None:
        return taken(_read_columns(path, file, group, names), chosen)
    others = [name for name in names if name != IMAGE_COLUMN]
    table = taken(_read_columns(path, file, group, [f"{IMAGE_COLUMN}.path", *others]), chosen)
    parts = [data, table[IMAGE_COLUMN].combine_chunks().field("path")]
    image = pa.StructArray.from_arrays(parts, names=[field.name for field in image_type()])
    return table.set_column(table.column_names.index(IMAGE_COLUMN), IMAGE_COLUMN, image)


class _Blocks:
    """The row groups of a Parquet shard."""

    def __init__(self, path: Location, source: Source, stack: ExitStack) -> None:
        self._path = path
        self._source = source
        if not isinstance(path, Path):
            shortest, longest = _TAIL_BYTES
            tail = min(max(source.size // _TAIL_SHARE, shortest), longest)
            self._source = HeldPart(source, max(0, source.size - tail), source.size)
        self._file = stack.enter_context(_opened(path, self._source))
        self.edges = _starts(self._file)
        self._pages = ImagePages.of(self._source, self._file.metadata)

    def names(self, block: int) -> list[str]:
        """The processids of a row group; this column has some kilobytes."""
        require_columns(self._file.schema_arrow.names, [PROCESSID], self._path)
        table = _read_group(self._path, self._file, None, block, [PROCESSID], None)
        names: list[str] = table[PROCESSID].to_pylist()
        return names

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Read some rows of a row group, and of the images only the pages that hold them."""
        require_columns(self._file.schema_arrow.names, columns, self._path)
        return _read_group(self._path, self._file, self._pages, block, columns, rows)


class _Images:
    def __init__(self, path: Location) -> None:
        self._path = path
        source = open_mapped(path)
        self._file = _opened(path, source)
        require_columns(self._file.schema_arrow.names, [IMAGE_COLUMN], path)
        self._starts = _starts(self._file)
        self._pages = ImagePages.of(source, self._file.metadata)

    def read(self, rows: Numbers) -> list[Encoded]:
        found: list[Encoded] = []
        for group, chosen in by_block(self._starts, rows):
            images = self._pages.views(group, chosen) if self._pages else None
            found += images or self._whole(group, chosen)
        return found

    def _whole(self, group: int, rows: Numbers) -> list[Encoded]:
        table = _read_columns(self._path, self._file, group, [IMAGE_COLUMN])
        return encoded_images(table[IMAGE_COLUMN].combine_chunks(), rows, self._path)
