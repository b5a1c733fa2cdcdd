"""Files that are written once, front to back: in the cache where small, past it where large.

What goes through the system's cache is copied into memory that the system has to find first, while
two workers are waiting for both processors. A shard has hundreds of megabytes and is not read again
by whoever writes it, so most of it goes straight to the disk where that can be done.
"""

from __future__ import annotations

import errno
import io
import itertools
import mmap
import os
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A piece that was digested is still in the processor's cache when it is written; and Linux finds
# memory for some megabytes at once much more slowly (measured: four times) than for a few pieces.
_WRITE_BYTES: Final = 512 << 10
_SEND_BYTES: Final = 8 << 20
# The beginning of a shard is looked at for pictures, and most files are no longer than this.
_CACHED_BYTES: Final = 8 << 20
_BUFFER_BYTES: Final = 4 << 20
_BUFFERS: Final = 3
# What places, lengths and memory are multiples of, for any disk of today.
_SECTOR: Final = 4096


def pieces(view: memoryview) -> Iterator[memoryview]:
    """Cut what is to be written into parts that go through quickly."""
    for start in range(0, len(view), _WRITE_BYTES):
        yield view[start : start + _WRITE_BYTES]


class WorkFile(io.FileIO):
    """A file that is there at once, and whose bytes the disk need not have: for this run alone.

    Args:
        path: Its name.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w")

    def write(self, data: ReadableBuffer, /) -> int:
        """Append bytes; returns how many there were."""
        view = memoryview(data).cast("B")
        for piece in pieces(view):
            left = piece
            while left:
                left = left[super().write(left) :]
        return len(view)


class LargeFile(WorkFile):
    """A file that may become large, and whose bytes are on their way to the disk meanwhile.

    Once it has some megabytes it goes on past the system's cache, where it lies on a disk of this
    machine that takes that. ``finish`` comes before the disk is waited for.

    Args:
        path: Its name.
    """

    def __init__(self, path: Path) -> None:
        self._straight: _Straight | None = None
        super().__init__(path)
        self._cached = 0
        self._sent = 0
        self._limit = _CACHED_BYTES

    def write(self, data: ReadableBuffer, /) -> int:
        """Append bytes; returns how many there were.

        Raises:
            OSError: These, or some before them, cannot be written.
        """
        view = memoryview(data).cast("B")
        room = self._limit - self._cached
        self._write_cached(view[:room])
        if rest := view[room:]:
            if not self._straight and _goes_straight(self.fileno()):
                self._straight = _Straight(self.fileno(), self._cached)
            if self._straight:
                self._straight.write(rest)
            else:
                self._limit = sys.maxsize
                self._write_cached(rest)
        return len(view)

    def _write_cached(self, view: memoryview) -> None:
        super().write(view)
        self._cached += len(view)
        if self._cached - self._sent >= _SEND_BYTES:
            self._send()

    def _send(self) -> None:
        """Let the system begin to write what is there, or it would all be waited for at the end."""
        if sys.platform == "linux":
            # Advice on pages that are not on the disk yet begins to write them, and keeps them.
            length = self._cached - self._sent
            os.posix_fadvise(self.fileno(), self._sent, length, os.POSIX_FADV_DONTNEED)
        self._sent = self._cached

    def finish(self) -> None:
        """Hand over to the system what is still held.

        Raises:
            OSError: Some bytes cannot be written.
        """
        straight, self._straight = self._straight, None
        if straight:
            straight.finish()

    def close(self) -> None:
        """Close the file; what was not finished is lost."""
        if self._straight:
            self._straight.stop()
        super().close()


def _goes_straight(descriptor: int) -> bool:
    """Let what is written to a file pass the cache, if it lies on a disk that takes that.

    Where the file system has no device of its own there is a network behind it, which would be
    waited for at each piece, or memory, or another file system, which may be either.
    """
    if sys.platform != "linux" or not os.major(os.fstat(descriptor).st_dev):
        return False
    return _set_straight(descriptor, True)


def _set_straight(descriptor: int, straight: bool) -> bool:
    # Not at the top: there is none elsewhere.
    import fcntl

    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | (os.O_DIRECT if straight else 0))
    except OSError:
        # A file system that knows no other way than through the cache.
        return False
    return True


class _Straight:
    """Writes the rest of a file past the cache, in a thread that waits for the disk.

    Args:
        descriptor: The file.
        position: Where the rest begins; a multiple of a sector.
    """

    def __init__(self, descriptor: int, position: int) -> None:
        self._descriptor = descriptor
        self._position = position
        self._past = True
        # Memory of the system's own begins with a page, as it has to.
        own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        buffers = [memoryview(mmap.mmap(-1, _BUFFER_BYTES, own)) for _ in range(_BUFFERS)]
        self._buffers = itertools.cycle(buffers)
        self._buffer = next(self._buffers)
        self._filled = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="bioscan5m-write")
        self._writing: deque[Future[None]] = deque()

    def write(self, data: memoryview) -> None:
        """Take bytes; raises what became of earlier ones."""
        while data:
            room = min(len(data), _BUFFER_BYTES - self._filled)
            self._buffer[self._filled : self._filled + room] = data[:room]
            self._filled += room
            data = data[room:]
            if self._filled == _BUFFER_BYTES:
                self._hand_over()

    def _hand_over(self) -> None:
        self._writing.append(self._writer.submit(self._put, self._buffer[: self._filled]))
        # The buffer that comes next may be used as soon as it is written.
        if len(self._writing) == _BUFFERS:
            self._writing.popleft().result()
        self._buffer = next(self._buffers)
        self._filled = 0

    def finish(self) -> None:
        """Wait until the system has all bytes; raises what became of them."""
        try:
            self._hand_over()
            for written in self._writing:
                written.result()
        finally:
            self.stop()

    def stop(self) -> None:
        """End the thread; what it has not begun to write is lost."""
        self._writer.shutdown(cancel_futures=True)

    def _put(self, data: memoryview) -> None:
        while data:
            part = data
            if self._past:
                part = data[: len(data) - len(data) % _SECTOR]
                if not part or self._position % _SECTOR:
                    self._go_through_cache()
                    continue
            try:
                written = os.pwrite(self._descriptor, part, self._position)
            except OSError as error:
                if not self._past or error.errno != errno.EINVAL:
                    raise
                # It takes larger sectors than any that is known, or none after all.
                self._go_through_cache()
                continue
            self._position += written
            data = data[written:]

    def _go_through_cache(self) -> None:
        _set_straight(self._descriptor, False)
        self._past = False
