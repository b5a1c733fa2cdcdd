"""Fetch one file over HTTPS: go on where an earlier attempt stopped, and prove what has come."""

from __future__ import annotations

import email.utils
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx2

from bioscan5m_hf.errors import DownloadFailed
from conversion.download.partial import Expected, Partial

_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at an address.

    Attributes:
        name: The name it gets.
        url: Where it is.
        expected: What is known of its bytes.
        headers: What the server wants to be told, such as a token.
    """

    name: str
    url: str
    expected: Expected
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is given.

    Attributes:
        attempts: How often in a row a transfer may fail without one byte of progress.
        pause: Seconds before the second attempt; doubled before each further one.
        longest: The longest pause in seconds, also where the server asks for one.
        timeout: Seconds without an answer, or without a byte, that count as a failure.
    """

    attempts: int = 6
    pause: float = 1.0
    longest: float = 600.0
    timeout: float = 60.0


DEFAULT_PATIENCE: Final = Patience()


class Stopped(Exception):
    """The transfer was told to stop; not an error, and never shown."""


class _PassingFailure(Exception):
    """A failure that may not happen again.

    Attributes:
        told: What happened, as a phrase.
        wait: How many seconds the server asks to wait.
    """

    def __init__(self, told: str, wait: float = 0.0) -> None:
        super().__init__(told)
        self.told = told
        self.wait = wait


OnBytes = Callable[[int], None]
"""Told how many bytes have come since the last call; fewer than none where it began anew."""


class Transfers:
    """Fetches files; threads may share it.

    Args:
        patience: How long a server is given.
        agent: How the program introduces itself.
    """

    def __init__(self, patience: Patience, agent: str) -> None:
        self._patience = patience
        self._stop = threading.Event()
        self._client = httpx2.Client(
            follow_redirects=True,
            timeout=patience.timeout,
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
        )

    def stop(self) -> None:
        """Let every transfer end soon; each then raises ``Stopped``."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def length_of(self, remote: RemoteFile) -> int:
        """Ask for the length of a file in bytes.

        Raises:
            DownloadFailed: The server does not tell.
        """

        def ask() -> int:
            # Not every server answers HEAD; a range of one byte tells the whole length as well.
            with self._get(remote, {"Range": "bytes=0-0"}) as response:
                total = (
                    _range_of(response)[1]
                    if response.status_code == 206
                    else _number(response.headers.get("Content-Length"))
                )
            if total is None:
                raise DownloadFailed("the server does not tell its length", where=remote.url)
            return total

        return self._persist(remote, ask, lambda: False)

    def fetch(self, remote: RemoteFile, folder: Path, on_bytes: OnBytes) -> Path:
        """Fetch a file, and prove its bytes by length and digest.

        Args:
            remote: The file.
            folder: Where it lies until it is proved; what is there of it already is taken up.
            on_bytes: Told of progress, from the first byte of the file on.

        Returns:
            Where it lies now.

        Raises:
            DownloadFailed: It cannot be had, or its bytes are not those that were published.
            OutputError: It cannot be written.
            FolderInUse: Another process is fetching the same file.
            Stopped: It was told to stop.
        """
        with Partial(folder, remote.name, remote.url, remote.expected) as partial:
            partial.take_up(on_bytes, self._check_stop)
            taken_up = partial.length
            self._fill(remote, partial, on_bytes)
            if partial.difference() and taken_up:
                # What an earlier run left may be to blame.
                self._begin_anew(partial, on_bytes)
                self._fill(remote, partial, on_bytes)
            if (wrong := partial.difference()) is None:
                return partial.commit()
            self._begin_anew(partial, on_bytes)
        raise DownloadFailed(wrong, where=remote.url, fix=_OTHER_FILE)

    def _fill(self, remote: RemoteFile, partial: Partial, on_bytes: OnBytes) -> None:
        """Fetch what is missing of a file."""
        longest = partial.length

        def reached() -> bool:
            nonlocal longest
            progress = partial.length > longest
            longest = max(longest, partial.length)
            return progress

        def attempt() -> None:
            if partial.length < remote.expected.bytes:
                self._stream(remote, partial, on_bytes)

        self._persist(remote, attempt, reached)

    def _stream(self, remote: RemoteFile, partial: Partial, on_bytes: OnBytes) -> None:
        headers = {}
        if partial.length:
            headers["Range"] = f"bytes={partial.length}-"
            if not remote.expected.digest and partial.validator:
                headers["If-Range"] = partial.validator
        with self._get(remote, headers) as response:
            self._begin(remote, partial, response, on_bytes)
            # As it comes: what is gathered into larger pieces is lost with the connection.
            for chunk in response.iter_raw():
                self._check_stop()
                if partial.length + len(chunk) > remote.expected.bytes:
                    self._begin_anew(partial, on_bytes)
                    raise _PassingFailure("more bytes came than the file has")
                partial.write(chunk)
                on_bytes(len(chunk))
        if partial.length < remote.expected.bytes:
            raise _PassingFailure(f"the answer ended after {partial.length:,} bytes")

    def _begin(
        self, remote: RemoteFile, partial: Partial, response: httpx2.Response, on_bytes: OnBytes
    ) -> None:
        """See from where on the answer gives the file, and that it still is the same file."""
        start, total = (
            _range_of(response)
            if response.status_code == 206
            else (0, _number(response.headers.get("Content-Length")))
        )
        if total is not None and total != remote.expected.bytes:
            raise DownloadFailed(
                f"has {total:,} bytes there, and {remote.expected.bytes:,} were expected",
                where=remote.url,
                fix=_OTHER_FILE,
            )
        if start != partial.length:
            # A server that knows no ranges begins anew, and so does one whose file has changed.
            self._begin_anew(partial, on_bytes)
            if start:
                raise _PassingFailure(f"the answer began at byte {start:,}")
        headers = response.headers
        etag = headers.get("ETag", "")
        partial.note_validator(
            headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
        )

    @contextmanager
    def _get(self, remote: RemoteFile, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        """Ask for a file; failures that pass are told from those that do not."""
        try:
            with self._client.stream(
                "GET", remote.url, headers=dict(remote.headers) | headers
            ) as response:
                status = response.status_code
                if status == 416 or status in _PASSING:
                    raise _PassingFailure(_status(response), _retry_after(response))
                if status not in (200, 206):
                    raise DownloadFailed(
                        f"the server answers {_status(response)}",
                        where=remote.url,
                        fix=_FIXES.get(status, "try again later, or another mirror with --from"),
                    )
                yield response
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise DownloadFailed(f"is not an address ({error})", where=remote.url) from error
        except httpx2.HTTPError as error:
            raise _PassingFailure(str(error) or type(error).__name__) from error

    def _persist(
        self, remote: RemoteFile, attempt: Callable[[], Result], reached: Callable[[], bool]
    ) -> Result:
        """Try until it is done, or has failed too often without progress."""
        failures = 0
        while True:
            self._check_stop()
            try:
                return attempt()
            except _PassingFailure as failure:
                failures = 1 if reached() else failures + 1
                if failures >= self._patience.attempts:
                    raise DownloadFailed(
                        f"failed {failures} times in a row, at last: {failure.told}",
                        where=remote.url,
                        fix="run the same command again to go on where it stopped",
                    ) from failure
                wait = max(failure.wait, self._patience.pause * 2 ** (failures - 1))
                if failure.wait > self._patience.longest:
                    raise DownloadFailed(
                        f"the server asks to wait {failure.wait:,.0f} seconds ({failure.told})",
                        where=remote.url,
                        fix="run the same command again after that time",
                    ) from failure
                self._stop.wait(min(wait, self._patience.longest))

    @staticmethod
    def _begin_anew(partial: Partial, on_bytes: OnBytes) -> None:
        on_bytes(-partial.length)
        partial.clear()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


_OTHER_FILE: Final = "the file there is another one: try another mirror with --from"
_FIXES: Final = {
    401: "log in with 'hf auth login'",
    403: "access is refused: log in with 'hf auth login', or try another mirror with --from",
    404: "it is not there (any more): try another mirror with --from",
}


def _status(response: httpx2.Response) -> str:
    return f"{response.status_code} {response.reason_phrase}".strip()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _range_of(response: httpx2.Response) -> tuple[int, int | None]:
    """From which byte on a partial answer goes, and the length of the whole file."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if match is None or match[1] is None:
        raise _PassingFailure("a part came, and the server does not tell which")
    return int(match[1]), _number(match[2])


def _retry_after(response: httpx2.Response) -> float:
    """How many seconds the server asks to wait; it gives them as a number or as a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0
