"""Files behind an HTTP server, read by ranges of bytes."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.open import RemotePath

_TIMEOUT_SECONDS: Final = 60
_ATTEMPTS: Final = 4
_FIRST_WAIT_SECONDS: Final = 0.5
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpFile:
    """A file behind an HTTP server that serves ranges of bytes.

    Args:
        path: Its URL.

    Attributes:
        location: The URL.
        size: Its length in bytes.
        version: What the server says to tell one state of the file from another.

    Raises:
        ArchiveError: It cannot be reached, or the server does not tell its length.
    """

    def __init__(self, path: RemotePath) -> None:
        self.location = path.url
        self._headers = {str(k): str(v) for k, v in dict(path.options).get("headers", {}).items()}
        headers = self._head()
        self.version = headers.get("ETag") or headers.get("Last-Modified") or ""

    def _head(self) -> http.client.HTTPMessage:
        try:
            with _request("HEAD", self.location, self._headers) as answer:
                headers: http.client.HTTPMessage = answer.headers
            length = headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            if error.code not in (403, 405, 501):
                raise _failed(self.location, error) from error
            # Signed addresses, and some servers, allow no HEAD.
            headers, length = self._first_byte()
        except (OSError, http.client.HTTPException) as error:
            raise _failed(self.location, error) from error
        if length is None or not length.isdigit():
            raise ArchiveError("the server does not tell its length", where=self.location)
        self.size = int(length)
        return headers

    def _first_byte(self) -> tuple[http.client.HTTPMessage, str | None]:
        try:
            with _request("GET", self.location, {**self._headers, "Range": "bytes=0-0"}) as answer:
                total = answer.headers.get("Content-Range", "").rpartition("/")[2]
                return answer.headers, total or None
        except (OSError, http.client.HTTPException) as error:
            raise _failed(self.location, error) from error

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset`` with one request."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        wanted = {**self._headers, "Range": f"bytes={offset}-{offset + length - 1}"}
        try:
            data, status = _fetch(self.location, wanted, length)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(self.location, error, offset) from error
        if status != http.client.PARTIAL_CONTENT and not (offset == 0 and length == self.size):
            raise ArchiveError(
                "the server does not serve ranges of bytes",
                where=self.location,
                fix="download the file and give the path of its folder",
            )
        return data

    def close(self) -> None:
        """Nothing is held between requests."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _fetch(url: str, headers: Mapping[str, str], length: int) -> tuple[bytes, int]:
    """One range, asked for again where the connection breaks or the server is busy."""
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _request("GET", url, headers) as answer:
                data: bytes = answer.read(length)
                if len(data) < length:
                    raise http.client.IncompleteRead(data, length - len(data))
                return data, answer.status
        except urllib.error.HTTPError as error:
            if error.code not in _PASSING or attempt == _ATTEMPTS:
                raise
        except (OSError, http.client.HTTPException):
            if attempt == _ATTEMPTS:
                raise
        time.sleep(wait)
        wait *= 2
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _request(method: str, url: str, headers: Mapping[str, str]) -> Iterator[Any]:
    request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310 - http only
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        yield answer


def _failed(url: str, error: Exception, offset: int | None = None) -> ArchiveError:
    where = "" if offset is None else f" at byte {offset:,}"
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        told = f"the server answers {error.code} {error.reason}"
    else:
        told = str(getattr(error, "reason", None) or error) or type(error).__name__
    return ArchiveError(f"cannot be read{where} ({told})", where=url)


def is_there(path: RemotePath) -> bool:
    """Whether a server has a file.

    Args:
        path: Its URL.

    Raises:
        ArchiveError: The server cannot be reached, or answers something else than yes or no.
    """
    try:
        HttpFile(path)
    except ArchiveError as error:
        cause = error.__cause__
        if isinstance(cause, urllib.error.HTTPError) and cause.code in (403, 404, 410):
            return False
        raise
    return True
