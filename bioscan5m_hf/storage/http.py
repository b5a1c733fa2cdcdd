"""Read byte ranges of files on HTTP servers, and the pages on which servers list folders."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, TypeVar

import httpx2

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.path import RemotePath
from bioscan5m_hf.storage.retry import PASSING_STATUSES, Patience, persist, retry_after_seconds

T = TypeVar("T")

State = tuple[str, str]
"""The entity tag and the date of a file, by which a server distinguishes its states."""

_PATIENCE: Final = Patience()
_REDIRECTS: Final = 10
_SHORT: Final = 1 << 16
_ABSENT: Final = frozenset({403, 404, 410})
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class HttpFile(Source):
    """A file on an HTTP server that serves byte ranges.

    Attributes:
        location: The URL.
        size: Its length in bytes.
        version: The ``ETag`` header, else ``Last-Modified``; empty if the server sends neither.

    Raises:
        ArchiveError: It cannot be reached, or the server does not report its length.
    """

    def __init__(self, path: RemotePath) -> None:
        self.location = path.url
        self._path = path
        # Signed URLs and some servers do not allow HEAD. The answer to a range request has the
        # length of the whole file too.
        size, self._state = _persist(path, self._first_byte)
        self.version = next(filter(None, self._state), "")
        if size is None:
            raise ArchiveError(
                "the server does not report the length of the file", where=self.location
            )
        self.size = size

    def _first_byte(self) -> tuple[int | None, State]:
        with _get(self._path, {"Range": "bytes=0-0"}) as answer:
            headers = answer.headers
            _up_to(answer, 1)
            # An empty file has no first byte.
            if answer.status_code in (206, 416):
                size = range_of(answer)[1]
            else:
                length = headers.get("Content-Length", "")
                size = int(length) if length.isdecimal() else None
            return size, _state_of(answer)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset`` with one request."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""

        def ask() -> bytes:
            wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
            with _get(self._path, wanted) as answer:
                whole = offset == 0 and length == self.size
                if answer.status_code != 206 and not (answer.status_code == 200 and whole):
                    raise ArchiveError(
                        "the server does not serve ranges of bytes",
                        where=self.location,
                        fix="download the file and give the path of its folder",
                    )
                if answer.status_code == 206 and range_of(answer)[0] not in (None, offset):
                    raise httpx2.RemoteProtocolError(
                        "the server sent a different range than requested"
                    )
                self._require_unchanged(answer)
                data = _up_to(answer, length)
            if len(data) < length:
                raise httpx2.RemoteProtocolError(f"the answer ended after {len(data):,} bytes")
            return data

        return _persist(self._path, ask, f" at byte {offset:,}")

    def _require_unchanged(self, answer: httpx2.Response) -> None:
        """Check that an answer comes from the file that was opened, not from a newer file."""
        pairs = zip(self._state, _state_of(answer), strict=True)
        same = [before == now for before, now in pairs if before and now]
        total = range_of(answer)[1] if answer.status_code == 206 else None
        # Servers at one address may send different tags for the same file; then the date decides.
        if total not in (None, self.size) or (same and not any(same)):
            raise ArchiveError(
                "the file on the server has changed since it was opened",
                where=self.location,
                fix="open it again",
            )


def is_there(path: RemotePath) -> bool:
    """Whether a server has a file.

    Raises:
        ArchiveError: The server cannot be reached, or its answer does not settle the question.
    """
    try:
        HttpFile(path)
    except ArchiveError as error:
        cause = error.__cause__
        if isinstance(cause, httpx2.HTTPStatusError) and cause.response.status_code in _ABSENT:
            return False
        raise
    return True


def read_page(path: RemotePath, largest: int) -> str | None:
    """Read at most ``largest`` bytes of an HTML page; ``None`` if the server has no such page.

    Raises:
        ArchiveError: The server cannot be reached, fails, or requires credentials.
    """

    def ask() -> str | None:
        with _get(path, {}) as answer:
            if not answer.headers.get("Content-Type", "").lower().startswith("text/html"):
                return None
            return _up_to(answer, largest).decode("utf-8", "replace")

    try:
        return _persist(path, ask)
    except ArchiveError as error:
        cause = error.__cause__
        if isinstance(cause, httpx2.HTTPStatusError) and not (
            cause.response.status_code == 401 or cause.response.status_code >= 500
        ):
            return None
        raise


def status_of(answer: httpx2.Response) -> str:
    """The status of an answer in standard words, because a server's own words may hold anything."""
    try:
        return f"{answer.status_code} {HTTPStatus(answer.status_code).phrase}"
    except ValueError:
        return str(answer.status_code)


def _state_of(answer: httpx2.Response) -> State:
    return answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")


def range_of(answer: httpx2.Response) -> tuple[int | None, int | None]:
    """The offset of a partial answer and the length of the whole file; ``None`` if not sent."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    first, total = match.groups()
    return int(first) if first else None, int(total) if total != "*" else None


@functools.lru_cache(maxsize=1)
def _client() -> httpx2.Client:
    return httpx2.Client(timeout=_PATIENCE.timeout, headers={"Accept-Encoding": "identity"})


# A connection cannot be shared with a process that was forked.
os.register_at_fork(after_in_child=_client.cache_clear)


@contextmanager
def _get(path: RemotePath, wanted: dict[str, str]) -> Iterator[httpx2.Response]:
    """Request a file; the user's headers are sent to the server of the URL and to no other."""
    client = _client()
    given = {str(k): str(v) for k, v in dict(dict(path.options).get("headers") or {}).items()}
    request = client.build_request("GET", path.url, headers={**given, **wanted})
    first = request.url
    for _ in range(_REDIRECTS):
        answer = client.send(request, stream=True)
        try:
            following = answer.next_request
            if following is None:
                if not answer.is_success and answer.status_code != 416:
                    _up_to(answer, _SHORT)
                    raise httpx2.HTTPStatusError(
                        f"the server answers {status_of(answer)}", request=request, response=answer
                    )
                yield answer
                return
        finally:
            answer.close()
        request = following
        if _is_same_server(first, request.url):
            request.headers.update(given)
        else:
            for name in given:
                request.headers.pop(name, None)
    raise httpx2.TooManyRedirects("the server redirects in a circle", request=request)


def _is_same_server(first: httpx2.URL, other: httpx2.URL) -> bool:
    """Whether two URLs have the same origin, or the second is the same host by HTTPS, not HTTP."""
    safer = (first.scheme, first.port, other.scheme, other.port) == ("http", None, "https", None)
    return first.origin == other.origin or (safer and first.host == other.host)


def _up_to(answer: httpx2.Response, length: int) -> bytes:
    """The first ``length`` bytes of an answer, however long it is."""
    data = bytearray()
    for block in answer.iter_raw():
        data += block
        # Reading an answer to its end lets the next request reuse the connection.
        if len(data) > length:
            break
    return bytes(data[:length])


def _persist(path: RemotePath, ask: Callable[[], T], where: str = "") -> T:
    try:
        return persist(ask, _passing, _PATIENCE)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        text = path.without_secrets(" ".join(str(error).split())) or type(error).__name__
        raise ArchiveError(f"cannot be read{where} ({text})", where=path.url) from error


def _passing(error: Exception) -> float | None:
    """The least number of seconds before a retry; ``None`` if an error is not retryable."""
    if isinstance(error, httpx2.HTTPStatusError):
        if error.response.status_code not in PASSING_STATUSES:
            return None
        return min(
            retry_after_seconds(error.response.headers.get("Retry-After")), _PATIENCE.longest
        )
    lasting = (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects)
    return 0.0 if isinstance(error, httpx2.HTTPError) and not isinstance(error, lasting) else None
