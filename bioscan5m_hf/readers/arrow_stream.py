"""Columns of an Arrow stream over a network: of each record batch only what is wanted is fetched.

``pyarrow`` reads the messages of a stream whole, images included. The layout that is taken apart
here is Arrow's "Encapsulated message format" with the tables ``Message`` and ``RecordBatch`` of
its Message.fbs, read by the rules of FlatBuffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.local import Source

_PREFIX: Final = struct.Struct("<Ii")
_CONTINUATION: Final = 0xFFFFFFFF
_RECORD_BATCH: Final = 3
# Schema and batch descriptions are small; one read gets prefix and description at once.
_FIRST_READ: Final = 16 << 10
_GAP_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """Where a record batch lies in a stream.

    Attributes:
        head: The prefix and the description of its message.
        body: Where its buffers start, in bytes.
        length: How long they are together.
        buffers: Where each buffer starts in the body, and its length.
    """

    head: bytes
    body: int
    length: int
    buffers: tuple[tuple[int, int], ...]


def read_schema(source: Source) -> pa.Schema:
    """The schema at the start of a stream.

    Raises:
        ArchiveError: It is not an Arrow stream.
    """
    head = _head(source, 0)
    if head is None:
        raise _damaged(source)
    try:
        return pa.ipc.read_schema(pa.py_buffer(head))
    except pa.ArrowException as error:
        raise _damaged(source) from error


def stored_batches(source: Source) -> Iterator[StoredBatch]:
    """Where the record batches of a stream lie; their descriptions are read and nothing else.

    Raises:
        ArchiveError: It is not an Arrow stream, or it breaks off.
    """
    position = 0
    while (head := _head(source, position)) is not None:
        body = position + len(head)
        try:
            table = _Table.root(head[_PREFIX.size :])
            length = table.integer(3)
            is_batch = table.byte(1) == _RECORD_BATCH
            buffers = table.table(2).pairs(2) if is_batch else ()
        except (struct.error, IndexError, AssertionError) as error:
            raise _damaged(source) from error
        if length < 0 or body + length > source.size:
            raise _damaged(source)
        if is_batch:
            yield StoredBatch(head, body, length, buffers)
        position = body + length


def read_batch(
    source: Source, schema: pa.Schema, batch: StoredBatch, names: Sequence[str]
) -> pa.RecordBatch:
    """Read some columns of a record batch.

    Args:
        source: The stream.
        schema: Its schema.
        batch: Where the batch lies.
        names: The columns.
    """
    held = np.zeros(len(batch.head) + batch.length, np.uint8)
    held[: len(batch.head)] = np.frombuffer(batch.head, np.uint8)
    for start, stop in _stretches(schema, batch, names):
        data = source.read_at(batch.body + start, stop - start)
        held[len(batch.head) + start : len(batch.head) + stop] = np.frombuffer(data, np.uint8)
    message = pa.ipc.read_message(pa.py_buffer(held))
    return pa.ipc.read_record_batch(message, schema).select(list(names))


def _stretches(
    schema: pa.Schema, batch: StoredBatch, names: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """The parts of the body that the columns need, those that lie close together as one."""
    wanted: list[tuple[int, int]] = []
    first = 0
    for field in schema:
        count = _count_buffers(field.type)
        if field.name in names:
            wanted += batch.buffers[first : first + count]
        first += count
    begin = end = 0
    for offset, length in wanted:
        if offset > end + _GAP_BYTES:
            if end > begin:
                yield begin, end
            begin = offset
        end = offset + length
    if end > begin:
        yield begin, end


def _count_buffers(kind: pa.DataType) -> int:
    """How many buffers a column has: validity, offsets where lengths vary, and values."""
    if pa.types.is_struct(kind):
        return 1 + sum(_count_buffers(kind.field(n).type) for n in range(kind.num_fields))
    return 3 if pa.types.is_string(kind) or pa.types.is_binary(kind) else 2


def _head(source: Source, position: int) -> bytes | None:
    """The prefix and description of the message at a position; none at the end of the stream."""
    data = source.read_at(position, _FIRST_READ)
    if not data:
        return None
    if len(data) < _PREFIX.size:
        raise _damaged(source)
    mark, length = _PREFIX.unpack_from(data)
    if mark != _CONTINUATION or length < 0:
        raise _damaged(source)
    if length == 0:
        return None
    total = _PREFIX.size + length
    if len(data) < total:
        data = source.read_at(position, total)
    if len(data) < total:
        raise _damaged(source)
    return data[:total]


def _damaged(source: Source) -> ArchiveError:
    return ArchiveError("is not a whole Arrow stream", where=source.location, fix="get it again")


class _Table:
    """A table of FlatBuffers: its fields are found by the table of their offsets."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._fields = at - int(struct.unpack_from("<i", data, at)[0])

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, int(struct.unpack_from("<I", data)[0]))

    def _place(self, field: int) -> int | None:
        size = int(struct.unpack_from("<H", self._data, self._fields)[0])
        entry = 4 + 2 * field
        offset = 0
        if entry < size:
            offset = int(struct.unpack_from("<H", self._data, self._fields + entry)[0])
        return self._at + offset if offset else None

    def _target(self, field: int) -> int:
        place = self._place(field)
        assert place is not None, "Arrow always writes this field"
        return place + int(struct.unpack_from("<I", self._data, place)[0])

    def integer(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else int(struct.unpack_from("<q", self._data, place)[0])

    def byte(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else self._data[place]

    def table(self, field: int) -> _Table:
        return _Table(self._data, self._target(field))

    def pairs(self, field: int) -> tuple[tuple[int, int], ...]:
        """A vector of structs of two integers of 64 bits."""
        at = self._target(field)
        (count,) = struct.unpack_from("<I", self._data, at)
        flat = struct.unpack_from(f"<{2 * count}q", self._data, at + 4)
        return tuple(zip(flat[::2], flat[1::2], strict=True))
