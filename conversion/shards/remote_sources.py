"""Open the remote archives of a shard, and fetch their members in large requests."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pyarrow as pa

from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import is_remote
from bioscan5m_hf.storage.ranges import Windows
from conversion.shards.prefetch import reads_of


class RemoteSources:
    """Opens remote archives, and fetches their members in large requests.

    Args:
        paths: Every source of the shard, including local ones.
        members: The members, in the order in which they will be read.
        hold: How many bytes may be held in memory at a time.
    """

    def __init__(self, paths: Sequence[str], members: pa.Table, hold: int) -> None:
        self._paths = paths
        self._members = members
        self._hold = hold
        self._windows: Windows | None = None
        self._opened: dict[int, Source] = {}
        self._lock = threading.Lock()

    def open(self, number: int) -> Source:
        """Open one of the sources.

        Args:
            number: Its number.

        Raises:
            ArchiveError: It cannot be opened.
        """
        source = self._source(number)
        if self._windows is None:
            self._windows = Windows(
                reads_of(self._members, [is_remote(path) for path in self._paths]),
                self._fetch,
                self._hold,
            )
        return _Remote(number, source, self._windows)

    def close(self) -> None:
        """Release the memory, and close the archives."""
        if self._windows:
            self._windows.close()
        for source in self._opened.values():
            source.close()

    def _source(self, number: int) -> Source:
        with self._lock:
            if number not in self._opened:
                self._opened[number] = open_location(self._paths[number])
            return self._opened[number]

    def _fetch(self, number: int, offset: int, length: int) -> bytes:
        return self._source(number).read_at(offset, length)


class _Remote(Source):
    """One remote archive, whose planned reads are answered from the windows."""

    def __init__(self, number: int, source: Source, windows: Windows) -> None:
        self.location = source.location
        self.size = source.size
        self._number = number
        self._windows = windows

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        return self._windows.read_at(self._number, offset, length)
