"""Read the directory of a zip archive into columns, in bounded memory.

The full release has 5,150,850 members for each package. Python's ``zipfile`` keeps an object for
each member, which takes gigabytes. Here the directory is read block by block into Arrow record
batches, whose size does not depend on the size of the archive.

The format is described in PKWARE's APPNOTE.TXT, sections 4.3.12 (central directory) to 4.3.16
(end of central directory) and 4.5.3 (Zip64 extra field).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.local import Source

STORED: Final = 0
DEFLATED: Final = 8
ENCRYPTED: Final = 0x1
UTF8_NAME: Final = 0x800

DIRECTORY_SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("offset", pa.uint64()),
        pa.field("compressed", pa.uint64()),
        pa.field("size", pa.uint64()),
        pa.field("crc", pa.uint32()),
        pa.field("method", pa.uint16()),
        pa.field("flags", pa.uint16()),
    ]
)

_ENTRY: Final = np.dtype(
    [
        ("signature", "<u4"),
        ("made_by", "<u2"),
        ("needs", "<u2"),
        ("flags", "<u2"),
        ("method", "<u2"),
        ("time", "<u2"),
        ("date", "<u2"),
        ("crc", "<u4"),
        ("compressed", "<u4"),
        ("size", "<u4"),
        ("name_length", "<u2"),
        ("extra_length", "<u2"),
        ("comment_length", "<u2"),
        ("disk", "<u2"),
        ("internal", "<u2"),
        ("external", "<u4"),
        ("offset", "<u4"),
    ]
)
_ENTRY_SIGNATURE: Final = 0x02014B50
_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
# The length field of the record counts neither its signature nor itself.
_END64_UNCOUNTED: Final = 12
_LOCAL_HEADER_LENGTH: Final = 30
_MAX32: Final = 0xFFFFFFFF
_MAX16: Final = 0xFFFF
_BLOCK_BYTES: Final = 8 << 20


Offsets = npt.NDArray[np.int64]
"""Offsets in a block of the directory, in bytes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The place of the directory in an archive.

    Attributes:
        start: Offset of the first entry, in bytes.
        length: Length of all entries, in bytes.
        members: How many entries there are.
        shift: Bytes before the archive proper, which must be added to every member's offset.
    """

    start: int
    length: int
    members: int
    shift: int


def find_directory(source: Source) -> Extent:
    """Find the directory of a zip archive from its end.

    Raises:
        ArchiveError: The file is not a zip, or it is truncated or damaged.
    """
    tail_start = max(0, source.size - _END.size - _MAX16)
    tail = source.read_at(tail_start, source.size - tail_start)
    end = _find_end(tail)
    if end < 0:
        raise _not_found(source)
    _, disk, first_disk, _, members, length, offset, _ = _END.unpack_from(tail, end)
    end += tail_start
    locator_at = end - _END64_LOCATOR.size
    if locator_at >= 0:
        locator = source.read_at(locator_at, _END64_LOCATOR.size)
        if locator[:4] == b"PK\x06\x07":
            end = _find_end64(source, locator, locator_at)
            _, _, _, _, disk, first_disk, _, members, length, offset = _END64.unpack(
                source.read_at(end, _END64.size)
            )
    if disk or first_disk:
        raise ArchiveError("is one volume of a split archive", where=source.location)
    start = end - length
    if start < 0 or offset > start or members * _ENTRY.itemsize > length:
        raise _damaged(source, "its end does not agree with its directory")
    return Extent(start, length, members, start - offset)


def _find_end(tail: bytes) -> int:
    """The offset of the end record in the last bytes of an archive; -1 if there is none."""
    last = at = tail.rfind(b"PK\x05\x06", 0, max(0, len(tail) - _END.size + 4))
    # The archive's comment may hold the signature too. The true record is followed by a comment of
    # the length that it states.
    while at >= 0:
        if at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            return at
        at = tail.rfind(b"PK\x05\x06", 0, at + 3)
    return last


def _find_end64(source: Source, locator: bytes, locator_at: int) -> int:
    """The offset of the Zip64 end record; bytes before the archive shift it from the stated one."""
    _, _, declared, _ = _END64_LOCATOR.unpack(locator)
    found: list[int] = []
    for at in (declared, locator_at - _END64.size):
        if 0 <= at <= locator_at - _END64.size:
            mark, length, *_ = _END64.unpack(source.read_at(at, _END64.size))
            if mark == b"PK\x06\x06":
                found.append(at)
                # Other bytes may look like a record; the true one ends where the locator begins.
                if at + _END64_UNCOUNTED + length == locator_at:
                    return int(at)
    if not found:
        raise _damaged(source, "its Zip64 end record is not where it should be")
    return found[0]


def _not_found(source: Source) -> ArchiveError:
    if source.read_at(0, 4) == b"PK\x03\x04":
        return ArchiveError(
            f"is truncated: it ends after {source.size:,} bytes without a directory",
            where=source.location,
            fix="download it again",
        )
    return ArchiveError("is not a zip archive", where=source.location, fix="download it again")


def _damaged(source: Source, what: str) -> ArchiveError:
    return ArchiveError(f"is damaged: {what}", where=source.location, fix="download it again")


def read_directory(source: Source, *, block_bytes: int = _BLOCK_BYTES) -> Iterator[pa.RecordBatch]:
    """Read the directory of a zip archive, block by block.

    Yields:
        Record batches of ``DIRECTORY_SCHEMA``, in the directory's order: the name, the offset of
        the local header, the compressed and the plain size in bytes, the CRC-32, the compression
        method and the general purpose flags of each member.

    Raises:
        ArchiveError: The file is not a zip, or it is truncated or damaged; or its members together
            are longer than the file, as in a zip bomb of overlapping members.
    """
    extent = find_directory(source)
    found = occupied = 0
    pending = b""
    position = extent.start
    while position < extent.start + extent.length:
        wanted = min(block_bytes, extent.start + extent.length - position)
        piece = source.read_at(position, wanted)
        if len(piece) < wanted:
            raise _damaged(source, "its directory is cut off")
        position += wanted
        block = pending + piece
        entries, at, used = _split_entries(source, block)
        pending = block[used:]
        if not len(entries):
            continue
        batch = _parse_entries(source, extent, block, entries, at)
        found += len(entries)
        occupied += int(batch["compressed"].to_numpy().sum()) + _LOCAL_HEADER_LENGTH * len(entries)
        occupied += int(entries["name_length"].sum(dtype=np.int64))
        yield batch
    if pending or found not in (extent.members, extent.members + (found & ~_MAX16)):
        raise _damaged(source, f"its end promises {extent.members:,} members, it has {found:,}")
    if occupied > extent.start - extent.shift:
        raise _damaged(source, "its members overlap: together they are longer than the file")


def _split_entries(source: Source, block: bytes) -> tuple[npt.NDArray[np.void], Offsets, int]:
    """Find the complete entries of a block, the offset of each, and the number of bytes used."""
    # Search every offset for a signature, which takes a quarter of the time of going from one entry
    # to the next.
    windows = np.ndarray(max(0, len(block) - _ENTRY.itemsize + 1), _ENTRY, block, strides=(1,))
    first = np.flatnonzero(np.frombuffer(block, np.uint8, len(windows)) == _ENTRY_SIGNATURE & 0xFF)
    at = first[windows["signature"][first] == _ENTRY_SIGNATURE]
    entries = windows[at]
    after = at + _ENTRY.itemsize
    for name in ("name_length", "extra_length", "comment_length"):
        after += entries[name]
    # A name may contain a signature too; a true entry begins where another one ends.
    breaks = np.append(np.flatnonzero(after[:-1] != at[1:]), len(at) - 1)
    true = np.zeros(len(at), np.bool_)
    here = used = 0
    while here < len(at) and at[here] == used:
        last = int(breaks[np.searchsorted(breaks, here)])
        if after[last] > len(block):
            true[here:last] = True
            return entries[true], at[true], int(at[last])
        true[here : last + 1] = True
        used = int(after[last])
        here = int(np.searchsorted(at, used))
    if used < len(windows):
        raise _damaged(source, "its directory holds something other than entries")
    return entries[true], at[true], used


def _parse_entries(
    source: Source,
    extent: Extent,
    block: bytes,
    entries: npt.NDArray[np.void],
    at: Offsets,
) -> pa.RecordBatch:
    raw = np.frombuffer(block, np.uint8)
    size = entries["size"].astype(np.uint64)
    compressed = entries["compressed"].astype(np.uint64)
    offset = entries["offset"].astype(np.uint64)
    large = (size == _MAX32) | (compressed == _MAX32) | (offset == _MAX32)
    if large.any():
        _fill_zip64(raw, at, entries, np.flatnonzero(large), (size, compressed, offset))
    # Check each summand against the file's size first, so that no sum overflows unnoticed.
    inside = (offset <= extent.start - extent.shift) & (compressed <= extent.start)
    offset += np.uint64(extent.shift)
    inside &= offset + compressed + np.uint64(_LOCAL_HEADER_LENGTH) <= extent.start
    names = _names(block, at + _ENTRY.itemsize, entries["name_length"])
    if not inside.all():
        name: bytes = names[int(np.flatnonzero(~inside)[0])].as_py()
        worst = name.decode("utf-8", "backslashreplace")
        raise _damaged(source, f"the member {worst!r} would lie outside of it")
    return pa.record_batch(
        [
            _decode_names(names, entries["flags"]),
            pa.array(offset),
            pa.array(compressed),
            pa.array(size),
            pa.array(entries["crc"]),
            pa.array(entries["method"]),
            pa.array(entries["flags"]),
        ],
        schema=DIRECTORY_SCHEMA,
    )


def _names(block: bytes, begin: Offsets, lengths: npt.NDArray[np.uint16]) -> pa.BinaryArray:
    """The names of entries, gathered from the block."""
    # Present the block to Arrow as an array that alternates between names and the bytes between.
    edges = np.column_stack([begin, begin + lengths]).astype(np.int32).ravel()
    buffers = [None, pa.py_buffer(edges), pa.py_buffer(block)]
    every = pa.Array.from_buffers(pa.binary(), len(edges) - 1, buffers)
    return every.take(pa.array(np.arange(0, len(edges), 2)))


def _decode_names(names: pa.BinaryArray, flags: npt.NDArray[np.uint16]) -> pa.Array:
    if bytes(names.buffers()[2] or b"").isascii():
        return names.cast(pa.string())
    # APPNOTE appendix D: names are code page 437 unless bit 11 says UTF-8.
    return pa.array(
        [
            name.decode("utf-8" if flag & UTF8_NAME else "cp437", "backslashreplace")
            for name, flag in zip(names.to_pylist(), flags.tolist(), strict=True)
        ],
        pa.string(),
    )


def _fill_zip64(
    raw: npt.NDArray[np.uint8],
    at: Offsets,
    entries: npt.NDArray[np.void],
    rows: npt.NDArray[np.int64],
    values: tuple[npt.NDArray[np.uint64], ...],
) -> None:
    """Take values that are too large for 32 bits from the Zip64 extra field.

    An entry whose field is missing or too short keeps 0xFFFFFFFF, as in Python's ``zipfile``. The
    caller checks afterwards that every member fits into the file.
    """
    cursor = at[rows] + 46 + entries["name_length"][rows]
    end = cursor + entries["extra_length"][rows]
    while rows.size:
        whole = cursor + 4 <= end
        rows, cursor, end = rows[whole], cursor[whole], end[whole]
        kind = _gather(raw, cursor, 2).view("<u2").reshape(-1)
        length = _gather(raw, cursor + 2, 2).view("<u2").reshape(-1).astype(np.int64)
        here = kind == 1
        _take_zip64(raw, rows[here], cursor[here] + 4, (cursor + 4 + length)[here], values)
        cursor = cursor + 4 + length
        rows, cursor, end = rows[~here], cursor[~here], end[~here]


def _take_zip64(
    raw: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    cursor: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    values: tuple[npt.NDArray[np.uint64], ...],
) -> None:
    # The field holds only the marked values, in this order, so the cursor of each entry differs.
    for column in values:
        marked = (column[rows] == _MAX32) & (cursor + 8 <= end)
        column[rows[marked]] = _gather(raw, cursor[marked], 8).view("<u8").reshape(-1)
        cursor = cursor + np.where(marked, 8, 0)


def _gather(raw: npt.NDArray[np.uint8], at: Offsets, width: int) -> npt.NDArray[np.uint8]:
    picked: npt.NDArray[np.uint8] = raw[at[:, None] + np.arange(width)]
    return picked
