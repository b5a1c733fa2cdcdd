"""Fetch one file over HTTPS: continue where an earlier attempt stopped, and verify the bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import httpx2

from bioscan5m_hf.errors import DownloadFailed
from bioscan5m_hf.storage.http import range_of, status_of
from bioscan5m_hf.storage.retry import PASSING_STATUSES, Patience, persist, retry_after_seconds
from conversion.download.partial import Expected, Partial

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a server.

    Attributes:
        name: The name of the local file.
        url: Its URL.
        expected: Its expected length and digest.
        headers: Additional request headers, such as a token.
    """

    name: str
    url: str
    expected: Expected
    headers: tuple[tuple[str, str], ...] = ()


DEFAULT_PATIENCE: Final = Patience(attempts=6, pause=1.0, longest=600.0)


class Stopped(Exception):
    """The transfer was cancelled; this is not an error, and never shown."""


class _PassingFailure(Exception):
    """A retryable failure.

    Attributes:
        told: What happened, as a phrase.
        wait: How many seconds the server requests to wait.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


OnBytes = Callable[[int], None]
"""Called with the number of bytes received since the last call; negative after a restart."""


class Transfers:
    """Fetches files; safe to use from several threads."""

    def __init__(self, patience: Patience, agent: str) -> None:
        self._patience = patience
        self._stop = threading.Event()
        self._client = httpx2.Client(
            follow_redirects=True,
            timeout=patience.timeout,
            headers={"User-Agent": agent, "Accept-Encoding": "identity"},
        )

    def stop(self) -> None:
        """Cancel every transfer; each then raises ``Stopped``."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def length_of(self, remote: RemoteFile) -> int:
        """Request the length of a file in bytes.

        Raises:
            DownloadFailed: The server does not send the length.
        """

        def ask() -> int:
            # Not every server supports HEAD, and the answer to a one-byte range has the length too.
            with self._get(remote, {"Range": "bytes=0-0"}) as response:
                total = (
                    _range_of(response)[1]
                    if response.status_code == 206
                    else _number(response.headers.get("Content-Length"))
                )
            if total is None:
                raise DownloadFailed(
                    "the server does not report the length of the file", where=remote.url
                )
            return total

        return self._persist(remote, ask, lambda: False)

    def fetch(self, remote: RemoteFile, folder: Path, on_bytes: OnBytes, output: Path) -> Path:
        """Fetch a file, and verify its length and digest.

        Args:
            remote: The file.
            folder: The folder for the unfinished file; an existing part of it is continued.
            on_bytes: Called with progress, including bytes of an existing part.
            output: The folder for the verified file.

        Returns:
            The final path of the file.

        Raises:
            DownloadFailed: It cannot be fetched, or its bytes are not those that were published.
            OutputError: It cannot be written.
            FolderInUse: Another process is fetching the same file.
            Stopped: The transfer was cancelled.
        """
        final = output / remote.name
        with Partial(folder, final, remote.url, remote.expected) as partial:
            partial.take_up(on_bytes, self._check_stop)
            taken_up = partial.length
            self._fill(remote, partial, on_bytes)
            if partial.difference() and taken_up:
                # The part that an earlier run left may be wrong.
                self._begin_anew(partial, on_bytes)
                self._fill(remote, partial, on_bytes)
            if (wrong := partial.difference()) is None:
                return partial.commit()
            self._begin_anew(partial, on_bytes)
        raise DownloadFailed(wrong, where=remote.url, fix=_OTHER_FILE)

    def _fill(self, remote: RemoteFile, partial: Partial, on_bytes: OnBytes) -> None:
        """Fetch the missing bytes of a file."""
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
            # Chunks are written as they come; a larger buffer would be lost with the connection.
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
        """Check at which byte the answer begins, and that it is still the same file."""
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
            # A server starts again at byte 0 if it has no range support, or if the file changed.
            self._begin_anew(partial, on_bytes)
            if start:
                raise _PassingFailure(f"the answer began at byte {start:,}")
        validator = _validator_of(response)
        # Not every server heeds If-Range. Without a digest, nothing else would tell.
        other = validator and partial.validator and validator != partial.validator
        if start and other and not remote.expected.digest:
            self._begin_anew(partial, on_bytes)
            raise _PassingFailure("the file there has changed")
        partial.note_validator(validator)

    @contextmanager
    def _get(self, remote: RemoteFile, headers: dict[str, str]) -> Iterator[httpx2.Response]:
        """Request a file, and distinguish retryable failures from permanent ones."""
        try:
            with self._client.stream(
                "GET", remote.url, headers=dict(remote.headers) | headers
            ) as response:
                status = response.status_code
                if status == 416 or status in PASSING_STATUSES:
                    raise _PassingFailure(
                        status_of(response),
                        retry_after_seconds(response.headers.get("Retry-After")),
                    )
                if status not in (200, 206):
                    raise DownloadFailed(
                        f"the server answers {status_of(response)}",
                        where=remote.url,
                        fix=_FIXES.get(
                            status, "try again later, or choose another mirror with --from"
                        ),
                    )
                yield response
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise DownloadFailed(f"is not an address ({error})", where=remote.url) from error
        except httpx2.HTTPError as error:
            raise _PassingFailure(str(error) or type(error).__name__) from error

    def _persist(
        self, remote: RemoteFile, attempt: Callable[[], Result], reached: Callable[[], bool]
    ) -> Result:
        """Retry until the attempt succeeds, or fails too often without progress."""

        def checked() -> Result:
            self._check_stop()
            return attempt()

        def passing(error: Exception) -> float | None:
            return error.wait if isinstance(error, _PassingFailure) else None

        try:
            return persist(
                checked, passing, self._patience, progressed=reached, sleep=self._stop.wait
            )
        except _PassingFailure as failure:
            if failure.wait > self._patience.longest:
                raise DownloadFailed(
                    f"the server asks to wait {failure.wait:,.0f} seconds ({failure.reason})",
                    where=remote.url,
                    fix="run the same command again after that time",
                ) from failure
            raise DownloadFailed(
                f"failed {self._patience.attempts} times in a row, at last: {failure.reason}",
                where=remote.url,
                fix="run the same command again to go on where it stopped",
            ) from failure

    @staticmethod
    def _begin_anew(partial: Partial, on_bytes: OnBytes) -> None:
        on_bytes(-partial.length)
        partial.clear()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped


_OTHER_FILE: Final = "the mirror has a different file: try another mirror with --from"
_FIXES: Final = {
    401: "log in with 'hf auth login'",
    403: "access is refused: log in with 'hf auth login', or try another mirror with --from",
    404: "it is not there (any more): try another mirror with --from",
}


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _validator_of(response: httpx2.Response) -> str:
    """What distinguishes this version of a file from another: a strong entity tag, or a date."""
    etag: str = response.headers.get("ETag", "")
    weak = not etag or etag.startswith("W/")
    return response.headers.get("Last-Modified", "") if weak else etag


def _range_of(response: httpx2.Response) -> tuple[int, int | None]:
    """The first byte of a partial answer, and the length of the whole file."""
    first, total = range_of(response)
    if first is None:
        raise _PassingFailure("the server sent a part of the file without saying which")
    return first, total
