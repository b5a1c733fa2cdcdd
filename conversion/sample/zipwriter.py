"""Writing a zip of any size in little memory."""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from conversion.files.atomic import Whole

_STORED: Final = 0
_DEFLATED: Final = 8
_UTF8: Final = 0x800
_VERSION: Final = 20
_VERSION_ZIP64: Final = 45
_MADE_BY_UNIX: Final = 3 << 8
_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16 | 0x10  # the low bit is what DOS calls a folder

# 1 June 2024, 12:00: equal input gives equal bytes only with a time that stands still.
_DOS_DATE: Final = (2024 - 1980) << 9 | 6 << 5 | 1
_DOS_TIME: Final = 12 << 11

_MAX_16: Final = 0xFFFF
_MAX_32: Final = 0xFFFFFFFF
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_END_ZIP64: Final = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR: Final = struct.Struct("<4sIQI")

_IN_MEMORY: Final = 8 << 20
_PIECE: Final = 1 << 20
_LEVEL: Final = 4


@dataclass(frozen=True, slots=True)
class _Member:
    """What the headers of one member say."""

    name: bytes
    start: int
    crc: int
    packed: int
    size: int
    method: int = _DEFLATED
    mode: int = _FILE_MODE

    def local(self, *, zip64: bool = False) -> bytes:
        """The header before the data; with ``zip64`` it has room for sizes of any length."""
        wide = struct.pack("<HHQQ", 1, 16, self.size, self.packed) if zip64 else b""
        return (
            _LOCAL.pack(
                b"PK\x03\x04",
                _VERSION_ZIP64 if zip64 else _VERSION,
                self._flags(),
                self.method,
                _DOS_TIME,
                _DOS_DATE,
                self.crc,
                _MAX_32 if zip64 else self.packed,
                _MAX_32 if zip64 else self.size,
                len(self.name),
                len(wide),
            )
            + self.name
            + wide
        )

    def central(self) -> bytes:
        """The entry in the directory."""
        # The format lists only the numbers that do not fit, in this order.
        wide = [number for number in (self.size, self.packed, self.start) if number >= _MAX_32]
        extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        version = _VERSION_ZIP64 if wide else _VERSION
        return (
            _CENTRAL.pack(
                b"PK\x01\x02",
                _MADE_BY_UNIX | version,
                version,
                self._flags(),
                self.method,
                _DOS_TIME,
                _DOS_DATE,
                self.crc,
                min(self.packed, _MAX_32),
                min(self.size, _MAX_32),
                len(self.name),
                len(extra),
                0,
                0,
                0,
                self.mode,
                min(self.start, _MAX_32),
            )
            + self.name
            + extra
        )

    def _flags(self) -> int:
        return 0 if self.name.isascii() else _UTF8


class ZipWriter(Whole):
    """Writes members one after another; the file appears under its name when all is well.

    Members are deflated, their directory is spooled to disk, and Zip64 records are written
    where the plain ones are too small. Use it as a context manager: leaving it by an error
    removes what was written.

    Args:
        path: The zip to make. An existing one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._file: BinaryIO = self._partial.open("wb", buffering=_PIECE)
        self._directory = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            max_size=_IN_MEMORY, dir=str(path.parent)
        )
        self._members = 0
        self._offset = 0

    @property
    def closed(self) -> bool:
        """Whether it was committed or discarded."""
        return self._file.closed

    def commit(self) -> None:
        """Write the directory and let the zip appear."""
        try:
            self._finish()
            self._partial.replace(self._path)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what has not appeared."""
        self._directory.close()
        self._file.close()
        # Gone already where all went well; a full disk may have stopped the last step.
        self._partial.unlink(missing_ok=True)

    def add_folder(self, name: str) -> None:
        """Add an entry for a folder.

        Args:
            name: Its path, which ends in a slash.
        """
        self._add(
            _Member(name.encode(), self._offset, 0, 0, 0, method=_STORED, mode=_FOLDER_MODE), b""
        )

    def add_deflated(self, name: str, deflated: bytes, *, crc: int, size: int) -> None:
        """Add a file whose raw deflate stream is known.

        Args:
            name: Its path, with slashes.
            deflated: The raw deflate stream, below 4 GiB.
            crc: The CRC-32 of what it inflates to.
            size: The length of what it inflates to, in bytes, below 4 GiB.
        """
        self._add(_Member(name.encode(), self._offset, crc, len(deflated), size), deflated)

    def add_file(self, name: str, source: Path) -> None:
        """Deflate a file of any size into the zip, piece by piece.

        Args:
            name: Its path in the zip, with slashes.
            source: The file to read.

        Raises:
            OSError: The file cannot be read.
        """
        start = self._offset
        self._write(_Member(name.encode(), start, 0, 0, 0).local(zip64=True))
        before = self._offset
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        crc = size = 0
        with source.open("rb") as reader:
            while piece := reader.read(_PIECE):
                crc = zlib.crc32(piece, crc)
                size += len(piece)
                self._write(packer.compress(piece))
        self._write(packer.flush())
        # The header stands before the data and is known only after it.
        member = _Member(name.encode(), start, crc, self._offset - before, size)
        self._file.seek(start)
        self._file.write(member.local(zip64=True))
        self._file.seek(self._offset)
        self._list(member)

    def _add(self, member: _Member, data: bytes) -> None:
        self._write(member.local())
        self._write(data)
        self._list(member)

    def _list(self, member: _Member) -> None:
        self._directory.write(member.central())
        self._members += 1

    def _finish(self) -> None:
        start = self._offset
        length = self._directory.tell()
        self._directory.seek(0)
        shutil.copyfileobj(self._directory, self._file, _PIECE)
        count = self._members
        if count >= _MAX_16 or start >= _MAX_32 or length >= _MAX_32:
            versions = (_MADE_BY_UNIX | _VERSION_ZIP64, _VERSION_ZIP64)
            sizes = (count, count, length, start)
            self._file.write(
                _END_ZIP64.pack(b"PK\x06\x06", _END_ZIP64.size - 12, *versions, 0, 0, *sizes)
            )
            self._file.write(_LOCATOR.pack(b"PK\x06\x07", 0, start + length, 1))
        short = min(count, _MAX_16)
        self._file.write(
            _END.pack(
                b"PK\x05\x06", 0, 0, short, short, min(length, _MAX_32), min(start, _MAX_32), 0
            )
        )
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)
