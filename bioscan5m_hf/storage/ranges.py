"""Merge byte ranges of remote archives into large requests, with a limit on the bytes held.

Consecutive specimens lie scattered within one folder of a zip. Future reads are therefore cut into
windows of consecutive reads. The reads of a window are sorted by offset and fetched with a few
large requests, which include small gaps. While one window is read, the next one is fetched. The
bytes held lie in a temporary file without a name, so memory stays small and no file is left behind.
"""

from __future__ import annotations

import bisect
import itertools
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import IO, Final, Self

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.errors import OutputError

Numbers = npt.NDArray[np.int64]

DEFAULT_HOLD: Final = 512 << 20
"""How many bytes one worker holds by default: two folders of upstream's largest zip."""

_CONNECTIONS: Final = 4
_LARGEST_REQUEST: Final = 8 << 20
_SMALLEST_REQUEST: Final = 1 << 16
_REQUESTS_HELD: Final = 16
# Fetching a gap of this length costs less than another request.
_GAP_BYTES: Final = 128 << 10
_WINDOWS_HELD: Final = 2
_ENDLESS: Final = 1 << 63

Fetch = Callable[[int, int, int], bytes]
"""Reads from a source, given its number, an offset and a length in bytes."""


@dataclass(frozen=True, slots=True)
class Reads:
    """The future reads, in their order.

    Attributes:
        source: The number of the source of each read.
        start: The offset in the source at which each read starts, in bytes.
        stop: The offset at which it stops.
        place: A number that changes when the reads move to another folder of the archive.
    """

    source: Numbers
    start: Numbers
    stop: Numbers
    place: Numbers

    def __len__(self) -> int:
        return len(self.start)

    def part(self, first: int, last: int) -> Reads:
        """The reads from ``first`` up to, not including, ``last``."""
        cut = slice(first, last)
        return Reads(self.source[cut], self.start[cut], self.stop[cut], self.place[cut])


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and the parts of its answer that are kept.

    Attributes:
        source: The number of the source.
        start: The offset in the source at which the request starts, in bytes.
        stop: The offset at which it stops.
        runs: The parts that are kept: start and stop in the source, position in the window's file.
    """

    source: int
    start: int
    stop: int
    runs: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive reads that are fetched and held together.

    Attributes:
        requests: The requests that fetch it.
        bytes: How many bytes are kept.
    """

    requests: tuple[Request, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of windows and requests.

    Attributes:
        window: The largest number of bytes of a window.
        request: The largest number of bytes of a request; its last read may go beyond.
        gap: The largest gap that a request includes, in bytes.
    """

    window: int
    request: int
    gap: int = _GAP_BYTES

    @classmethod
    def of(cls, hold: int) -> Self:
        """The limits that keep two windows and the requests under way below ``hold`` bytes.

        A single read that is larger than this is still possible.
        """
        request = min(_LARGEST_REQUEST, max(_SMALLEST_REQUEST, hold // _REQUESTS_HELD))
        return cls(max(1, (hold - _CONNECTIONS * request) // 2), request)


def plan_windows(reads: Reads, limits: Limits) -> Iterator[Window]:
    """Cut reads into windows, and each window into requests.

    A window ends at the end of a folder of the archive if possible, because the gaps of a folder
    that is cut in two are fetched twice.

    Yields:
        The windows, in the order of the reads.
    """
    first = 0
    for last in _cuts(reads, limits.window):
        yield plan_window(reads.part(first, last), limits)
        first = last


def _cuts(reads: Reads, limit: int) -> Iterator[int]:
    """For each window, the index of the read after its last."""
    count = len(reads)
    ends = np.concatenate([[0], np.cumsum(reads.stop - reads.start)])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(reads.place)) + 1, [count]])
    first = 0
    while first < count:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + limit, side="right")) - 1)
        if last < count:
            begun = int(np.searchsorted(edges, last, side="right")) - 1
            edge, following = int(edges[begun]), int(edges[begun + 1])
            if edge > first and ends[following] - ends[edge] <= limit:
                last = edge
        yield last
        first = last


def plan_window(reads: Reads, limits: Limits) -> Window:
    """Cut one window into requests."""
    requests: list[Request] = []
    held = 0
    for source in np.unique(reads.source).tolist():
        mine = reads.source == source
        order = np.argsort(reads.start[mine], kind="stable")
        starts = reads.start[mine][order]
        # Reads may overlap: each includes the header of the next member.
        stops = np.maximum.accumulate(reads.stop[mine][order])
        for first, last in _requests(starts, stops, limits):
            runs: list[tuple[int, int, int]] = []
            apart = starts[first + 1 : last] > stops[first : last - 1]
            for low, high in _pieces(apart):
                start, stop = int(starts[first + low]), int(stops[first + high - 1])
                runs.append((start, stop, held))
                held += stop - start
            requests.append(Request(source, runs[0][0], runs[-1][1], tuple(runs)))
    return Window(tuple(requests), held)


def requests_in_order(
    reads: Sequence[tuple[int, int, int]], limits: Limits, most: int
) -> Iterator[tuple[int, int]]:
    """Cut reads into requests without sorting them.

    A request serves consecutive reads that lie close together, at ascending offsets.

    Args:
        reads: The number of the source, the start and the stop of each read.
        limits: The limits of requests and gaps.
        most: How many reads a request may serve.

    Yields:
        For each request, the index of its first read and of the read after its last.
    """
    first = 0
    for number, (source, start, stop) in enumerate(reads):
        if number == first:
            continue
        begun, before = reads[first], reads[number - 1]
        if (
            source != begun[0]
            or not begun[1] <= start <= before[2] + limits.gap
            or stop - begun[1] > limits.request
            or number - first >= most
        ):
            yield first, number
            first = number
    if reads:
        yield first, len(reads)


def _requests(starts: Numbers, stops: Numbers, limits: Limits) -> Iterator[tuple[int, int]]:
    """For each request, the index of its first read and of the read after its last."""
    for begin, end in _pieces(starts[1:] - stops[:-1] > limits.gap):
        squares = (starts[begin:end] - starts[begin]) // limits.request
        for first, last in _pieces(np.diff(squares) > 0):
            yield begin + first, begin + last


def _pieces(breaks: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Cut items wherever there is a break between neighbours; yields start and stop of each run."""
    return itertools.pairwise([0, *(np.flatnonzero(breaks) + 1).tolist(), len(breaks) + 1])


class _Held:
    """One window that is being fetched, or was fetched.

    Attributes:
        bytes: How many bytes are kept.
    """

    def __init__(self, window: Window, fetch: Fetch, pool: ThreadPoolExecutor) -> None:
        self.bytes = window.bytes
        self._fetch = fetch
        self._file = _unnamed()
        self._runs: dict[int, list[tuple[int, int, int]]] = {}
        for request in window.requests:
            self._runs.setdefault(request.source, []).extend(request.runs)
        self._pending: list[Future[None]] = [
            pool.submit(self._keep, request) for request in window.requests
        ]

    def _keep(self, request: Request) -> None:
        data = memoryview(self._fetch(request.source, request.start, request.stop - request.start))
        for start, stop, position in request.runs:
            self._write(data[start - request.start : stop - request.start], position)

    def _write(self, data: memoryview, position: int) -> None:
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data, position)
                data, position = data[written:], position + written
        except OSError as error:
            raise _no_room(error) from error

    def find(self, source: int, start: int, stop: int) -> int | None:
        """The position of a range in the window's file; ``None`` if the window does not hold it."""
        runs = self._runs.get(source, [])
        number = bisect.bisect_right(runs, (start, _ENDLESS, 0)) - 1
        if number < 0 or stop > runs[number][1]:
            return None
        return runs[number][2] + start - runs[number][0]

    def read(self, position: int, length: int) -> bytes:
        """Read from the window's file, after all its requests have been answered."""
        while self._pending:
            self._pending.pop().result()
        return os.pread(self._file.fileno(), length, position)

    def close(self) -> None:
        """Cancel requests, and release the file."""
        for future in self._pending:
            future.cancel()
        wait(self._pending)
        self._file.close()


class Windows:
    """Reads from several sources in an order that is known in advance.

    Unexpected reads go to the source directly.

    Args:
        reads: The expected reads, in their order.
        fetch: Reads from a source; several threads call it at the same time.
        hold: How many bytes may be held at a time.
    """

    def __init__(self, reads: Reads, fetch: Fetch, hold: int) -> None:
        self._fetch = fetch
        self._pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="bioscan5m-window")
        self._planned = plan_windows(reads, Limits.of(hold))
        self._held: deque[_Held] = deque()
        self._begin()

    def _begin(self) -> None:
        """Start to fetch the next two windows."""
        while len(self._held) < _WINDOWS_HELD and (window := next(self._planned, None)):
            self._held.append(_Held(window, self._fetch, self._pool))

    def read_at(self, source: int, offset: int, length: int) -> bytes:
        """Read from a source.

        Raises:
            ArchiveError: The source cannot be read.
            OutputError: There is no room for the temporary file.
        """
        for passed, held in enumerate(self._held):
            position = held.find(source, offset, offset + length)
            if position is None:
                continue
            for _ in range(passed):
                self._held.popleft().close()
            self._begin()
            return held.read(position, length)
        return self._fetch(source, offset, length)

    @property
    def held(self) -> int:
        """How many bytes are held or have been requested."""
        return sum(held.bytes for held in self._held)

    def close(self) -> None:
        """Cancel requests, and release all windows."""
        while self._held:
            self._held.pop().close()
        self._pool.shutdown()


def _unnamed() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(buffering=0, prefix="bioscan5m-")
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> OutputError:
    return OutputError(
        f"the data that are read ahead cannot be stored ({error.strerror})",
        where=tempfile.gettempdir(),
        fix="set TMPDIR to a folder with more room, or use a smaller --read-ahead",
    )
