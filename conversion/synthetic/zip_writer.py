"""Write a zip of millions of small members in little memory, which ``zipfile`` cannot."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path
from typing import Final, Protocol, Self

# 1 June 2024, 12:00: equal input gives equal bytes only with a time that stands still.
DATE: Final = (2024, 6, 1, 12, 0, 0)

_STAMP: Final = (DATE[3] << 11, (DATE[0] - 1980) << 9 | DATE[1] << 5 | DATE[2])
_VERSION: Final = 20
_VERSION_ZIP64: Final = 45
_UNIX: Final = 3 << 8
_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16 | 0x10  # the low bit is what DOS calls a folder
_UTF8: Final = 0x800
_MAX_16: Final = 0xFFFF
_MAX_32: Final = 0xFFFFFFFF

_COMMON: Final = struct.Struct("<HHHHHIIIH")
_CENTRAL_REST: Final = struct.Struct("<HHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_END_ZIP64: Final = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR: Final = struct.Struct("<4sIQI")
_IN_MEMORY: Final = 8 << 20


class Sink(Protocol):
    """What bytes are appended to."""

    def write(self, data: bytes, /) -> int:
        """Append bytes."""
        ...


class ZipWriter:
    """Writes members one after another; the directory follows when the block is left.

    The directory is spooled to disk, and Zip64 records are written where the plain ones are too
    small. The sink is left open.

    Args:
        sink: Where the zip goes.
        folder: Where the directory is spooled.
    """

    def __init__(self, sink: Sink, folder: Path) -> None:
        self._sink = sink
        self._directory = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            max_size=_IN_MEMORY, dir=str(folder)
        )
        self._members = 0
        self._offset = 0

    def add(self, name: str, deflated: bytes = b"", *, crc: int = 0, size: int = 0) -> None:
        """Add a file whose raw deflate stream is known, or an entry for a folder.

        Args:
            name: Its path, with slashes; that of a folder ends in one.
            deflated: The raw deflate stream, below 4 GiB; none for a folder.
            crc: The CRC-32 of what it inflates to.
            size: The length of what it inflates to, in bytes, below 4 GiB.
        """
        path, is_folder = name.encode(), name.endswith("/")
        flags, method = 0 if name.isascii() else _UTF8, 0 if is_folder else 8
        start = self._offset
        far = struct.pack("<HHQ", 1, 8, start) if start >= _MAX_32 else b""
        version = _VERSION_ZIP64 if far else _VERSION
        sizes = (crc, len(deflated), size, len(path))
        common = _COMMON.pack(version, flags, method, *_STAMP, *sizes)
        self._write(b"PK\x03\x04" + common + b"\0\0" + path + deflated)
        mode = _FOLDER_MODE if is_folder else _FILE_MODE
        rest = _CENTRAL_REST.pack(len(far), 0, 0, 0, mode, min(start, _MAX_32))
        made_by = struct.pack("<H", _UNIX | version)
        self._directory.write(b"PK\x01\x02" + made_by + common + rest + path + far)
        self._members += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        with self._directory:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        start, length, count = self._offset, self._directory.tell(), self._members
        self._directory.seek(0)
        shutil.copyfileobj(self._directory, self._sink, 1 << 20)
        if count >= _MAX_16 or start >= _MAX_32 or length >= _MAX_32:
            versions = (_UNIX | _VERSION_ZIP64, _VERSION_ZIP64)
            totals = (0, 0, count, count, length, start)
            self._sink.write(
                _END_ZIP64.pack(b"PK\x06\x06", _END_ZIP64.size - 12, *versions, *totals)
                + _LOCATOR.pack(b"PK\x06\x07", 0, start + length, 1)
            )
        short = min(count, _MAX_16)
        ends = (min(length, _MAX_32), min(start, _MAX_32), 0)
        self._sink.write(_END.pack(b"PK\x05\x06", 0, 0, short, short, *ends))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._offset += len(data)
