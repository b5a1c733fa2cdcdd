"""Files that are written once, front to back: in the cache where small, past it where large.

What goes through the system's cache is copied into memory that the system has to find first, while
two workers are waiting for both processors. A shard has hundreds of megabytes and is not read again
by whoever writes it, so most of it goes straight to the disk where that can be done.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
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
        self._length = 0
        self._sent = 0
        self._cached = _CACHED_BYTES

    def write(self, data: ReadableBuffer, /) -> int:
        """Append bytes; returns how many there were.

        Raises:
            OSError: These, or some before them, cannot be written.
        """
        view = memoryview(data).cast("B")
        room = max(self._cached - self._length, 0)
        self._write_cached(view[:room])
        if rest := view[room:]:
            if not self._straight and _goes_straight(self.fileno()):
                self._straight = _Straight(self.fileno(), self._length)
            if self._straight:
                self._straight.write(rest)
            else:
                self._cached = sys.maxsize
                self._write_cached(rest)
        return len(view)

    def _write_cached(self, view: memoryview) -> None:
        super().write(view)
        self._length += len(view)
        if self._length - self._sent >= _SEND_BYTES:
            self._send()

    def _send(self) -> None:
        """Let the system begin to write what is there, or it would all be waited for at the end."""
        if sys.platform == "linux":
            # Advice on pages that are not on the disk yet begins to write them, and keeps them.
            length = self._length - self._sent
            os.posix_fadvise(self.fileno(), self._sent, length, os.POSIX_FADV_DONTNEED)
        self._sent = self._length

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
        self._error: OSError | None = None
        # Memory of the system's own begins with a page, as it has to.
        own = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        free = [memoryview(mmap.mmap(-1, _BUFFER_BYTES, own)) for _ in range(_BUFFERS)]
        self._buffer = free.pop()
        self._filled = 0
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        for buffer in free:
            self._free.put(buffer)
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bioscan5m-write", daemon=True)
        self._thread.start()

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
        self._full.put((self._buffer, self._filled))
        self._buffer = self._free.get()
        self._filled = 0
        self._raise()

    def _raise(self) -> None:
        if self._error:
            raise self._error

    def finish(self) -> None:
        """Wait until the system has all bytes; raises what became of them."""
        self._full.put((self._buffer, self._filled))
        self.stop()
        self._raise()

    def stop(self) -> None:
        """End the thread, once it has written what it was given."""
        self._full.put(None)
        self._thread.join()

    def _run(self) -> None:
        while given := self._full.get():
            buffer, length = given
            try:
                # After a hole, nothing more is worth writing.
                if not self._error:
                    self._put(buffer[:length])
            except OSError as error:
                self._error = error
            self._free.put(buffer)

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
