"""Pieces of a dataset folder: what one worker reads at a time, one class for each format.

Of a row that is not wanted no image is looked at: the columns that decide are read first. How
much of the images around a wanted row is read from the file depends on the format: of Parquet the
pages that hold a wanted row; over a network, of Arrow the images of its record batch, and a tar
whole; of a local Arrow file or tar nothing else.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.readers.arrow_stream import StoredBatch, read_batch, read_schema, stored_batches
from bioscan5m_hf.readers.parquet_pages import ImagePages
from bioscan5m_hf.readers.query import Choice, Numbers, taken
from bioscan5m_hf.readers.tar import Sample, read_samples, table_of, tar_samples
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, image_type
from bioscan5m_hf.storage.inside import require_regular
from bioscan5m_hf.storage.local import Source, SourceStream
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import ReadAhead

_TAR_BATCH: Final = 200


_Read = Callable[[Sequence[str], Numbers | None], pa.Table]
"""Reads some columns, of all rows or of some, whose numbers rise."""


class Piece(Protocol):
    """A part of a split, small enough to be handed to a worker by its description."""

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted, in order, with the columns that are wanted at least."""
        ...

    def divide(self) -> list[Piece]:
        """The same rows as several pieces, where that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class ParquetPiece:
    """A Parquet shard, or some row groups of it.

    Attributes:
        path: Where it is.
        groups: The numbers of the row groups; all by default.
    """

    path: Location
    groups: tuple[int, ...] | None = None

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted; of a row group without any, only what decides is read.

        Of the images of a row group only the pages with a wanted row are read, unless they are
        compressed or have no page index.
        """
        with open_location(self.path) as source, opened_parquet(self.path, source) as file:
            pages = None
            if choice.image and choice.deciding:
                pages = ImagePages.of(source, file.metadata)
            for group in self._numbers(file):
                read = functools.partial(read_group, self.path, file, pages, group)
                yield from _read_parts(choice, read)

    def _numbers(self, file: pq.ParquetFile) -> tuple[int, ...]:
        return tuple(range(file.num_row_groups)) if self.groups is None else self.groups

    def divide(self) -> list[Piece]:
        """One piece for each row group."""
        with open_location(self.path) as source, opened_parquet(self.path, source) as file:
            return [ParquetPiece(self.path, (group,)) for group in self._numbers(file)]


@dataclass(frozen=True, slots=True)
class ArrowPiece:
    """An Arrow shard, or some record batches of it.

    Attributes:
        path: Where it is.
        batches: The numbers of the record batches; all by default.
    """

    path: Location
    batches: tuple[int, ...] | None = None

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted; of a batch without any, only what decides is read."""
        for number, read in enumerate(arrow_batches(self.path)):
            if self.batches is None or number in self.batches:
                yield from _read_parts(choice, read)

    def divide(self) -> list[Piece]:
        """One piece for each record batch."""
        count = sum(1 for _ in arrow_batches(self.path))
        numbers = range(count) if self.batches is None else self.batches
        return [ArrowPiece(self.path, (number,)) for number in numbers]


@dataclass(frozen=True, slots=True)
class TarPiece:
    """A WebDataset shard: ``<processid>.jpg`` and ``<processid>.json`` of each specimen.

    Attributes:
        path: Where it is.
    """

    path: Location

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """The rows that are wanted; images of others are passed over."""
        with open_location(self.path) as file:
            source: Source = file if isinstance(self.path, Path) else ReadAhead(file)
            samples = tar_samples(source, str(self.path))
            for rows, images in iter(lambda: _take(samples, _TAR_BATCH), ([], [])):
                table = table_of(rows, str(self.path))
                read = functools.partial(read_samples, source, table, images)
                yield from _read_parts(choice, read)

    def divide(self) -> list[Piece]:
        """A tar has no directory, so it stays whole."""
        return [self]


_KINDS: Final[dict[str, Callable[[Location], Piece]]] = {
    ".parquet": ParquetPiece,
    ".arrow": ArrowPiece,
    ".tar": TarPiece,
}


def shard_piece(path: Location) -> Piece:
    """The piece that a whole shard makes.

    Args:
        path: Where the shard is; its suffix tells its format.
    """
    return _KINDS[PurePosixPath(str(path)).suffix](path)


def _take(samples: Iterator[Sample], count: int) -> tuple[list[Any], list[Any]]:
    taken = list(itertools.islice(samples, count))
    return [row for row, _ in taken], [extent for _, extent in taken]


def _read_parts(choice: Choice, read: _Read) -> Iterator[pa.Table]:
    """Read what decides, then the rest of the rows that are wanted."""
    deciding = choice.deciding
    if not deciding:
        yield read(choice.columns, None)
        return
    first = read(deciding, None)
    chosen = choice.rows(first)
    if not len(chosen):
        return
    missing = [name for name in choice.columns if name not in deciding]
    table = taken(first, chosen)
    if missing:
        table = _beside(table, read(missing, chosen))
    yield table.select(list(choice.columns))


def _beside(table: pa.Table, other: pa.Table) -> pa.Table:
    for field, column in zip(other.schema, other.columns, strict=True):
        table = table.append_column(field, column)
    return table


# ------------------------------------------------------------------------------------ opening


def opened_parquet(path: Location, source: Source) -> pq.ParquetFile:
    """Open a Parquet file, mapped into memory where it is local.

    Raises:
        ArchiveError: It cannot be read.
    """
    try:
        if isinstance(path, Path):
            return pq.ParquetFile(path, memory_map=True)
        return pq.ParquetFile(pa.PythonFile(SourceStream(source), mode="r"), pre_buffer=True)
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError.unreadable(path, error) from error


def read_group(
    path: Location,
    file: pq.ParquetFile,
    pages: ImagePages | None,
    group: int,
    names: Sequence[str],
    chosen: Numbers | None,
) -> pa.Table:
    """Some columns of a row group, of all rows or of some; images by their pages, if given."""

    def read(names: Sequence[str]) -> pa.Table:
        try:
            table = file.read_row_group(group, columns=list(names), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError.unreadable(path, error) from error
        return taken(table, chosen)

    if pages is None or chosen is None or IMAGE_COLUMN not in names:
        return read(names)
    data = pages.read(group, chosen)
    if data is None:
        return read(names)
    others = [name for name in names if name != IMAGE_COLUMN]
    table = read([f"{IMAGE_COLUMN}.path", *others])
    parts = [data, table[IMAGE_COLUMN].combine_chunks().field("path")]
    image = pa.StructArray.from_arrays(parts, names=[field.name for field in image_type()])
    return table.set_column(table.column_names.index(IMAGE_COLUMN), IMAGE_COLUMN, image)


def arrow_batches(path: Location) -> Iterator[_Read]:
    """A reader of columns for each record batch; a mapped file is read where it is looked at."""
    if isinstance(path, Path):
        try:
            with (
                pa.memory_map(str(require_regular(path))) as file,
                pa.ipc.open_stream(file) as reader,
            ):
                for batch in reader:
                    yield functools.partial(_look_up, pa.Table.from_batches([batch]))
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError.unreadable(path, error) from error
        return
    with open_location(path) as source:
        schema = read_schema(source)
        for stored in stored_batches(source):
            yield functools.partial(_fetch, source, schema, stored)


def _look_up(table: pa.Table, names: Sequence[str], chosen: Numbers | None) -> pa.Table:
    return taken(table.select(list(names)), chosen)


def _fetch(
    source: Source,
    schema: pa.Schema,
    stored: StoredBatch,
    names: Sequence[str],
    chosen: Numbers | None,
) -> pa.Table:
    return taken(pa.Table.from_batches([read_batch(source, schema, stored, list(names))]), chosen)
