"""Run an iterator ahead in a thread, so that making and using its items overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Final, TypeVar

T = TypeVar("T")

_DEPTH: Final = 1
_POLL_SECONDS: Final = 0.1


class _End:
    """What a reader puts into the queue last: the error it ended with, if any."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class Ahead(Iterator[T]):
    """The items of an iterator that is run in a thread, from now on.

    What the iterator raises is raised where its item would come. It is closed in the thread where
    the consumer stops early, so whoever does not come to the end calls ``close``.

    Args:
        items: What to run.
        depth: How many items may wait. One more is being made meanwhile, so memory is bounded.
        start: How many may wait until the first is asked for, if these are others.
    """

    def __init__(
        self, items: Iterator[T], depth: int = _DEPTH, *, start: int | None = None
    ) -> None:
        self._items = items
        self._depth = depth
        self._waiting: queue.Queue[T | _End] = queue.Queue(start or depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bioscan5m-ahead", daemon=True)
        self._thread.start()

    def __next__(self) -> T:
        if self._stopped.is_set():
            raise StopIteration
        self._waiting.maxsize = self._depth
        item = self._waiting.get()
        if not isinstance(item, _End):
            return item
        self.close()
        raise item.error or StopIteration

    def close(self) -> None:
        """Give up what was not asked for."""
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


def ahead(items: Iterator[T], depth: int = _DEPTH) -> Generator[T]:
    """Hand out the items of an iterator that is run in a thread, from the first that is asked for.

    Args:
        items: What to run; it is closed in the thread where the consumer stops early, even where
            it only forgets the generator.
        depth: See ``Ahead``.

    Yields:
        The items, in order. What the iterator raises is raised here.
    """
    with closing(Ahead(items, depth)) as reader:
        yield from reader
