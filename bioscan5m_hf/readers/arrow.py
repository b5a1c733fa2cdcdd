"""Read Arrow shards: memory-mapped if they are local, else one record batch at a time.

Arrow is the format for local disks. Over a network a whole record batch is fetched with its images,
even if only other columns are requested.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import pyarrow as pa

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
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from bioscan5m_hf.storage.inside import require_regular
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location

_PREFIX: Final = struct.Struct("<Ii")
_CONTINUATION: Final = 0xFFFFFFFF
_RECORD_BATCH: Final = 3
# Metadata of a message are small, so that one read gets both the prefix and the metadata.
_FIRST_READ: Final = 16 << 10


class ArrowReader(ShardReader):
    """An Arrow shard, or some record batches of it."""

    __slots__ = ()
    maps: ClassVar[bool] = True

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows; of local batches without any, only the predicate's columns."""
        if isinstance(self.path, Path):
            for number, batch in enumerate(_mapped_batches(self.path)):
                if self.blocks is None or number in self.blocks:
                    yield from read_wanted(choice, functools.partial(_columns, self.path, batch))
            return
        with open_location(self.path) as source:
            stream = _Stream(source)
            for number, stored in enumerate(stream.batches()):
                if self.blocks is None or number in self.blocks:
                    yield from read_wanted(
                        choice, functools.partial(_columns, self.path, stream.read(stored))
                    )

    def divide(self) -> list[Piece]:
        """One piece for each record batch."""
        return [ArrowReader(self.path, (number,)) for number in self._numbers()]

    def _numbers(self) -> Sequence[int]:
        if self.blocks is not None:
            return self.blocks
        if isinstance(self.path, Path):
            return range(sum(1 for _ in _mapped_batches(self.path)))
        with open_location(self.path) as source:
            return range(sum(1 for _ in _Stream(source).batches()))

    def open_blocks(self, stack: ExitStack) -> Blocks:
        """Open the shard; its blocks are its record batches."""
        return _Blocks(self.path, stack)

    def open_images(self) -> ImageReader:
        """Open the shard; over a network, whole record batches are fetched for images."""
        if isinstance(self.path, Path):
            return _MappedImages(self.path)
        return _FetchedImages(self.path)


def _mapped_batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with (
            pa.memory_map(str(require_regular(path))) as file,
            pa.ipc.open_stream(file) as reader,
        ):
            yield from reader
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError.unreadable(path, error) from error


def _columns(
    path: Location, batch: pa.RecordBatch, names: Sequence[str], chosen: Numbers | None
) -> pa.Table:
    require_columns(batch.schema.names, names, path)
    return taken(pa.Table.from_batches([batch]).select(list(names)), chosen)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A record batch in a stream: the offsets of its message, and its number of rows."""

    begin: int
    end: int
    rows: int


class _Stream:
    """A remote Arrow stream, whose record batches are found without reading their buffers.

    The layout is Arrow's "Encapsulated message format": a prefix, metadata (the table ``Message``
    of Message.fbs), and the body with the buffers.

    Raises:
        ArchiveError: It is not an Arrow stream.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        head = self._head(0)
        if head is None:
            raise self._damaged()
        try:
            self._schema = pa.ipc.read_schema(pa.py_buffer(head))
        except pa.ArrowException as error:
            raise self._damaged() from error
        self._first = len(head)

    def batches(self) -> Iterator[_Stored]:
        """Find the record batches; only the metadata of messages are read.

        Raises:
            ArchiveError: The stream is damaged or breaks off.
        """
        position = self._first
        while (head := self._head(position)) is not None:
            try:
                body, rows = _describe(head[_PREFIX.size :])
            except (struct.error, ValueError) as error:
                raise self._damaged() from error
            end = position + len(head) + body
            if body < 0 or end > self._source.size:
                raise self._damaged()
            yield _Stored(position, end, rows)
            position = end

    def read(self, stored: _Stored) -> pa.RecordBatch:
        """Fetch a record batch.

        Raises:
            ArchiveError: It is damaged.
        """
        data = pa.py_buffer(self._source.read_at(stored.begin, stored.end - stored.begin))
        try:
            return pa.ipc.read_record_batch(pa.ipc.read_message(data), self._schema)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged() from error

    def _head(self, position: int) -> bytes | None:
        """The prefix and metadata of the message at an offset; ``None`` at the end."""
        data = self._source.read_at(position, _FIRST_READ)
        if not data:
            return None
        if len(data) < _PREFIX.size:
            raise self._damaged()
        mark, length = _PREFIX.unpack_from(data)
        if mark != _CONTINUATION or length < 0:
            raise self._damaged()
        if length == 0:
            return None
        total = _PREFIX.size + length
        if len(data) < total:
            data = self._source.read_at(position, total)
        if len(data) < total:
            raise self._damaged()
        return data[:total]

    def _damaged(self) -> ArchiveError:
        return ArchiveError(
            "is not a complete Arrow stream", where=self._source.location, fix="get it again"
        )


def _describe(message: bytes) -> tuple[int, int]:
    """The length of the body of a record batch, and its number of rows.

    Raises:
        ValueError: The message is not a record batch.
        struct.error: It breaks off.
    """
    (table,) = struct.unpack_from("<I", message)
    kind, header, length = (_field(message, table, number) for number in (1, 2, 3))
    if kind is None or header is None or message[kind] != _RECORD_BATCH:
        raise ValueError("the message is no record batch")
    rows = _field(message, header + struct.unpack_from("<I", message, header)[0], 0)
    return _integer(message, length), _integer(message, rows)


def _field(message: bytes, table: int, number: int) -> int | None:
    """The offset of a field of a FlatBuffers table; ``None`` if it has its default value."""
    fields = table - struct.unpack_from("<i", message, table)[0]
    place = 4 + 2 * number
    if place >= struct.unpack_from("<H", message, fields)[0]:
        return None
    (offset,) = struct.unpack_from("<H", message, fields + place)
    return table + int(offset) if offset else None


def _integer(message: bytes, place: int | None) -> int:
    return 0 if place is None else int(struct.unpack_from("<q", message, place)[0])


class _Blocks:
    def __init__(self, path: Location, stack: ExitStack) -> None:
        self._path = path
        if isinstance(path, Path):
            batches = list(_mapped_batches(path))
            self._read: Callable[[int], pa.RecordBatch] = batches.__getitem__
            rows = [batch.num_rows for batch in batches]
        else:
            stream = _Stream(stack.enter_context(open_location(path)))
            stored = list(stream.batches())
            # The requested rows are mostly in the batch whose processids were read last.
            self._read = functools.lru_cache(1)(lambda block: stream.read(stored[block]))
            rows = [batch.rows for batch in stored]
        self.edges = np.cumsum([0, *rows])

    def names(self, block: int) -> list[str]:
        names: list[str] = _columns(self._path, self._read(block), [PROCESSID], None)[
            PROCESSID
        ].to_pylist()
        return names

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        return _columns(self._path, self._read(block), columns, rows)


class _MappedImages:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns = []
        for batch in _mapped_batches(path):
            require_columns(batch.schema.names, [IMAGE_COLUMN], path)
            self._columns.append(batch.column(IMAGE_COLUMN))
        self._starts = np.cumsum([0, *map(len, self._columns)])

    def read(self, rows: Numbers) -> list[Encoded]:
        found: list[Encoded] = []
        for batch, chosen in by_block(self._starts, rows):
            found += encoded_images(self._columns[batch], chosen, self._path)
        return found


class _FetchedImages:
    def __init__(self, path: Location) -> None:
        self._path = path
        self._stream = _Stream(open_location(path))
        self._batches = list(self._stream.batches())
        self._starts = np.cumsum([0, *(batch.rows for batch in self._batches)])

    def read(self, rows: Numbers) -> list[Encoded]:
        found: list[Encoded] = []
        for number, chosen in by_block(self._starts, rows):
            batch = self._stream.read(self._batches[number])
            require_columns(batch.schema.names, [IMAGE_COLUMN], self._path)
            found += encoded_images(batch.column(IMAGE_COLUMN), chosen, self._path)
        return found
