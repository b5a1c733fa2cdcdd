"""Zip archives written byte by byte, so that every field can be right, odd or a lie."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

UTF8 = 0x800
DESCRIPTOR = 0x8


@dataclass(frozen=True)
class Entry:
    """One member; what is ``None`` is what the data say."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    extra: bytes = b""
    comment: bytes = b""
    # Which of size, compressed and offset stand in the Zip64 field though 32 bits would do.
    zip64: tuple[bool, bool, bool] = (False, False, False)
    size: int | None = None
    compressed: int | None = None
    crc: int | None = None
    offset: int | None = None
    local_extra: bytes = b""

    @property
    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        engine = zlib.compressobj(wbits=-15)
        return engine.compress(self.data) + engine.flush()


@dataclass(frozen=True)
class Zip:
    """An archive; what is ``None`` is what the members say."""

    entries: tuple[Entry, ...] = ()
    comment: bytes = b""
    prefix: bytes = b""
    zip64: bool = False
    members: int | None = None
    directory_length: int | None = None
    directory_offset: int | None = None
    locator: int | None = None
    disk: int = 0
    between: bytes = field(default=b"")

    def replaced(self, **changes: object) -> Zip:
        return replace(self, **changes)  # type: ignore[arg-type]

    def __bytes__(self) -> bytes:
        body = bytearray()
        directory = bytearray()
        for entry in self.entries:
            offset = len(body) if entry.offset is None else entry.offset
            packed = entry.packed
            size = len(entry.data) if entry.size is None else entry.size
            compressed = len(packed) if entry.compressed is None else entry.compressed
            crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
            body += local_header(entry, crc, compressed, size) + packed
            if entry.flags & DESCRIPTOR:
                body += struct.pack("<4s3L", b"PK\x07\x08", crc, compressed & M32, size & M32)
            directory += _central(entry, crc, (size, compressed, offset))
        directory += self.between
        members = len(self.entries) if self.members is None else self.members
        length = len(directory) if self.directory_length is None else self.directory_length
        offset = len(body) if self.directory_offset is None else self.directory_offset
        end = b""
        if self.zip64:
            end = struct.pack(
                "<4sQ2H2L4Q",
                *(b"PK\x06\x06", 44, 45, 45, self.disk, self.disk),
                *(members, members, length, offset),
            )
            at = len(body) + len(directory) if self.locator is None else self.locator
            end += struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
            members, length, offset = 0xFFFF, M32, M32
        end += struct.pack(
            "<4s4H2LH",
            *(b"PK\x05\x06", 0 if self.zip64 else self.disk, 0 if self.zip64 else self.disk),
            *(members & 0xFFFF, members & 0xFFFF, length & M32, offset & M32, len(self.comment)),
        )
        return self.prefix + bytes(body + directory) + end + self.comment


M32 = 0xFFFFFFFF


def local_header(entry: Entry, crc: int, compressed: int, size: int) -> bytes:
    if entry.flags & DESCRIPTOR:
        crc = compressed = size = 0
    return (
        struct.pack(
            "<4s5H3L2H",
            *(b"PK\x03\x04", 20, entry.flags, entry.method, 0, 0x21),
            *(crc, min(compressed, M32), min(size, M32)),
            *(len(entry.name), len(entry.local_extra)),
        )
        + entry.name
        + entry.local_extra
    )


def _central(entry: Entry, crc: int, values: tuple[int, int, int]) -> bytes:
    wide = [asked or value >= M32 for asked, value in zip(entry.zip64, values, strict=True)]
    large = b"".join(struct.pack("<Q", value) for value, w in zip(values, wide, strict=True) if w)
    extra = entry.extra + (struct.pack("<2H", 1, len(large)) + large if large else b"")
    size, compressed, offset = (M32 if w else v for v, w in zip(values, wide, strict=True))
    return (
        struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\x01\x02", 20, 20, entry.flags, entry.method, 0, 0x21),
            *(crc, compressed, size, len(entry.name), len(extra), len(entry.comment)),
            *(0, 0, 0, offset),
        )
        + entry.name
        + extra
        + entry.comment
    )
