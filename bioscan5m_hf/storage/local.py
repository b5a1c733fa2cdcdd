"""Define the interface of readable files, and read files of this machine in any order."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from pathlib import Path
from typing import Final, Protocol, Self

from bioscan5m_hf.errors import ArchiveError

_ADVICE_BYTES: Final = 128 << 10
_PROBE_BYTES: Final = 1 << 20
# Never a valid descriptor, so reading a closed file fails.
_CLOSED: Final = -1


class Source(Protocol):
    """A file that can be read in any order.

    Attributes:
        location: Its path or URL, for messages.
        size: Its length in bytes.
    """

    location: str
    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        ...

    def close(self) -> None:
        """Release what belongs to this source alone; a shared connection stays open."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# A clone made without Git LFS has pointer files that begin like this (specification, version 1).
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER: Final = 1024


class LocalFile(Source):
    """A file on a disk; threads can share it, because reads do not use a common position.

    Raises:
        ArchiveError: It cannot be opened, is not a file, or is a pointer of Git LFS.
    """

    def __init__(self, path: str | Path) -> None:
        self.location = str(path)
        try:
            # Without O_NONBLOCK, opening a pipe would wait for a writer.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ArchiveError(
                f"cannot be opened ({error.strerror})", where=self.location
            ) from error
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(self._descriptor)
            raise ArchiveError("is not a file", where=self.location)
        self.size = found.st_size
        if self.size < _LONGEST_POINTER and self.read_at(0, len(_POINTER)) == _POINTER:
            self.close()
            raise ArchiveError(
                "is what Git LFS keeps in place of the file",
                where=self.location,
                fix="get the file itself with: git lfs pull",
            )

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        try:
            data = os.pread(self._descriptor, length, offset)
            # One call returns at most 2 GiB, and less if a signal interrupts it.
            while len(data) < length and (more := self._continue(offset, data, length)):
                data += more
        except OSError as error:
            raise ArchiveError(
                f"cannot be read at byte {offset} ({error.strerror})", where=self.location
            ) from error
        return data

    def will_read(self, offset: int, length: int) -> None:
        """Advise the system to read a part of the file ahead, if the platform supports this."""
        if not hasattr(os, "posix_fadvise") or self._is_held(offset, length):
            return
        # For a long part, Linux would read only the beginning.
        for start in range(offset, min(offset + length, self.size), _ADVICE_BYTES):
            os.posix_fadvise(self._descriptor, start, _ADVICE_BYTES, os.POSIX_FADV_WILLNEED)

    def _is_held(self, offset: int, length: int) -> bool:
        """Whether a part of the file is in the page cache, judged by one byte per MiB."""
        if sys.platform != "linux":
            return False
        probe = [bytearray(1)]
        try:
            # Advice on a part that is cached already takes a sixth of the time of reading it.
            for place in range(offset, min(offset + length, self.size), _PROBE_BYTES):
                os.preadv(self._descriptor, probe, place, os.RWF_NOWAIT)
        except OSError:
            # The part is not cached, or this file system does not support the flag.
            return False
        return True

    def _continue(self, offset: int, data: bytes, length: int) -> bytes:
        return os.pread(self._descriptor, length - len(data), offset + len(data))

    def close(self) -> None:
        """Close the file; closing it twice does no harm."""
        # The system reuses the number of a closed descriptor, so it must never be closed twice.
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)


class SourceStream(io.RawIOBase):
    """A source as a seekable binary file, for libraries that need a file object."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, and return it in bytes from the start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        position = start[whence] + offset
        if position < 0:
            # A system file raises the same error; zipfile relies on it to end its search.
            raise OSError(errno.EINVAL, "before the start of the file")
        self._position = position
        return self._position

    def tell(self) -> int:
        """The position in bytes from the start."""
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer, and return how many bytes were read; 0 at the end of the file."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._source.read_at(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
