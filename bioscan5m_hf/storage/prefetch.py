"""Run an iterator ahead of its consumer in a thread, and read ahead in files, to hide latency."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final, TypeVar

from bioscan5m_hf.storage.local import Source

T = TypeVar("T")

# How many finished items may wait. The thread makes one more meanwhile, so memory is bounded.
_DEPTH: Final = 1
_POLL_SECONDS: Final = 0.1
_SMALLEST_READ: Final = 1 << 16
_LARGEST_READ: Final = 8 << 20


class _End:
    """The last item of the queue; it holds the error that ended the iterator, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Ahead(Iterator[T]):
    """The items of an iterator that runs in a thread, which starts at once.

    An error of the iterator is raised in place of its item. A consumer that stops early must call
    ``close``; the iterator is then closed in the thread.

    Args:
        items: The iterator to run.
        start: How many items may wait until the first is requested.
    """

    def __init__(self, items: Iterator[T], *, start: int = _DEPTH) -> None:
        self._items = items
        self._waiting: queue.Queue[T | _End] = queue.Queue(start)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bioscan5m-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._stopped.is_set():
            raise StopIteration
        self._waiting.maxsize = _DEPTH
        item = self._waiting.get()
        if not isinstance(item, _End):
            return item
        self.close()
        raise item.error or StopIteration

    def close(self) -> None:
        """Stop the iterator, and discard the items that were not requested."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:  # noqa: BLE001 - raised again where it is waited for
            error = raised
        if isinstance(self._items, Generator):
            self._items.close()
        self._put(_End(error))

    def _put(self, item: T | _End) -> bool:
        while not self._stopped.is_set():
            try:
                self._waiting.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def ahead(items: Iterator[T]) -> Generator[T]:
    """Run an iterator in a thread, which starts when the first item is requested.

    Args:
        items: The iterator to run. It is closed in the thread if the consumer closes this
            generator or drops it.

    Yields:
        The items, in order. Errors of the iterator are raised here.
    """
    with closing(Ahead(items)) as reader:
        yield from reader


class HeldPart(Source):
    """A source with one part held in memory, fetched with one request; the rest is read as needed.

    Args:
        source: The source; the caller closes it.
        start: The offset at which the part starts, in bytes.
        stop: The offset at which it ends.
    """

    def __init__(self, source: Source, start: int, stop: int) -> None:
        self.location = source.location
        self.size = source.size
        self._source = source
        self._start = start
        self._data = source.read_at(start, stop - start)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read from the part in memory, or else from the source."""
        begin = offset - self._start
        stop = min(begin + length, self.size - self._start)
        if begin >= 0 and stop <= len(self._data):
            return self._data[begin:stop]
        return self._source.read_at(offset, length)


class ReadAhead(Source):
    """A source that reads ahead while it is read in order, doubling the amount each time."""

    def __init__(self, source: Source) -> None:
        self.location = source.location
        self.size = source.size
        self._source = source
        self._ahead = _SMALLEST_READ
        self._start = 0
        self._held = b""
        self._lock = threading.Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``, from memory if they are there already."""
        with self._lock:
            stop = self._start + len(self._held)
            if self._start <= offset and min(offset + length, self.size) <= stop:
                return self._held[offset - self._start : offset - self._start + length]
            in_order = self._start <= offset <= stop and self._held
            self._ahead = min(2 * self._ahead, _LARGEST_READ) if in_order else _SMALLEST_READ
            kept = self._held[offset - self._start :] if in_order else b""
            wanted = max(length, self._ahead) - len(kept)
            self._held = kept + self._source.read_at(offset + len(kept), wanted)
            self._start = offset
            return self._held[:length]

    def close(self) -> None:
        """Close the source."""
        self._source.close()
