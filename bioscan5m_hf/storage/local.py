"""Read any part of one file, wherever it lies."""

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
# The number of no file: reading from it fails.
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
        """Give back what the source holds alone; what it shares with others stays open."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


# How a clone looks without Git LFS (its specification, version 1).
_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER: Final = 1024


class LocalFile(Source):
    """A file on a disk, read without a shared position, so that threads can share it.

    Raises:
        ArchiveError: It cannot be opened, or is no file.
    """

    def __init__(self, path: str | Path) -> None:
        self.location = str(path)
        try:
            # To open a pipe would wait for its writer.
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
            # One call returns at most 2 GiB, and less where a signal comes in between.
            while len(data) < length and (more := self._continue(offset, data, length)):
                data += more
        except OSError as error:
            raise ArchiveError(
                f"cannot be read at byte {offset} ({error.strerror})", where=self.location
            ) from error
        return data

    def will_read(self, offset: int, length: int) -> None:
        """Let the system fetch a part of the file meanwhile, where it takes such advice."""
        if not hasattr(os, "posix_fadvise") or self._is_held(offset, length):
            return
        # Of a long part Linux would fetch the beginning only.
        for start in range(offset, min(offset + length, self.size), _ADVICE_BYTES):
            os.posix_fadvise(self._descriptor, start, _ADVICE_BYTES, os.POSIX_FADV_WILLNEED)

    def _is_held(self, offset: int, length: int) -> bool:
        """Whether the system has a part of the file in memory, as far as some of it tells."""
        if sys.platform != "linux":
            return False
        probe = [bytearray(1)]
        try:
            # Advice on what is there already costs as much as reading a sixth of it.
            for place in range(offset, min(offset + length, self.size), _PROBE_BYTES):
                os.preadv(self._descriptor, probe, place, os.RWF_NOWAIT)
        except OSError:
            # It would have to be waited for, or this file system does not tell.
            return False
        return True

    def _continue(self, offset: int, data: bytes, length: int) -> bytes:
        return os.pread(self._descriptor, length - len(data), offset + len(data))

    def close(self) -> None:
        """Close the file; what is closed already stays so."""
        # The system gives the number of a closed file to the next one that is opened, by whomever.
        descriptor, self._descriptor = self._descriptor, _CLOSED
        if descriptor != _CLOSED:
            os.close(descriptor)


class SourceStream(io.RawIOBase):
    """A source as a seekable binary file, for libraries that want one."""

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
        """Move the position; returns it in bytes from the start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}
        position = start[whence] + offset
        if position < 0:
            # What a file of the system answers; zipfile takes it for the end of its search.
            raise OSError(errno.EINVAL, "before the start of the file")
        self._position = position
        return self._position

    def tell(self) -> int:
        """The position in bytes from the start."""
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill a buffer; returns how many bytes were read, 0 at the end of the file."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self._source.read_at(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
