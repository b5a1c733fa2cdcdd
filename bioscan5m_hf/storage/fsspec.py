"""Read files through fsspec drivers, and turn the many errors of drivers into this project's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, TypeVar

from bioscan5m_hf.errors import ArchiveError, BioscanError, MissingDependency, UsageError
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.path import RemotePath
from bioscan5m_hf.storage.retry import PASSING_STATUSES, Patience, persist

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

_PATIENCE: Final = Patience(attempts=3)
_LONGEST: Final = 200
# Drivers raise errors of their own libraries. These may not be installed here, so such errors are
# recognised by parts of their class names.
_REFUSED: Final = ("credentials", "permission", "forbidden", "accessdenied", "unauthorized")
_UNREACHABLE: Final = ("connect", "timeout", "gaierror", "dns", "unreachable")


def file_system(path: RemotePath) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL, and the name of the file in it.

    Raises:
        MissingDependency: The package for the scheme is not installed.
        UsageError: The scheme is not known.
        BioscanError: The driver cannot be set up.
    """
    import fsspec

    try:
        with explained(path, "cannot be opened", UsageError):
            system, name = fsspec.core.url_to_fs(path.url, **dict(path.options))
    except UsageError as error:
        cause = error.__cause__
        if isinstance(cause, ImportError):
            package = _package(path.url.partition("://")[0], cause)
            raise MissingDependency(
                f"this URL cannot be read without the package {package}",
                where=path.url,
                fix=f"pip install {package}",
            ) from cause
        if isinstance(cause, ValueError):
            raise UsageError(f"this URL cannot be read ({cause})", where=path.url) from cause
        raise
    return system, str(name)


def _package(scheme: str, error: ImportError) -> str:
    """The package to install for a scheme."""
    from fsspec.registry import known_implementations

    module = str(known_implementations.get(scheme, {}).get("class", "")).partition(".")[0]
    if module and module != "fsspec":
        return module
    cause = error.__cause__ or error.__context__
    return error.name or (cause.name if isinstance(cause, ImportError) else None) or scheme


@contextmanager
def explained(where: RemotePath, what: str, kind: type[BioscanError]) -> Iterator[None]:
    """Turn any error that a driver raises in the block into an error of this project.

    Args:
        where: The URL.
        what: The failure, such as ``cannot be read``.
        kind: The class of the error to raise.

    Raises:
        BioscanError: Of class ``kind``, with the driver's error as its cause.
    """
    try:
        yield
    except BioscanError:
        raise
    # botocore, aiohttp, ftplib, paramiko and others have no common base class for their errors.
    except Exception as error:
        text, fix = _described(error)
        raise kind(f"{what} ({where.without_secrets(text)})", where=str(where), fix=fix) from error


def _described(error: Exception) -> tuple[str, str | None]:
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    if isinstance(error, FileNotFoundError):
        return f"nothing is at this address: {text}", None
    if "gatedrepoerror" in names:
        return (
            "the repository is gated: only users whom its owner has accepted can read it",
            "accept its conditions on its page on the Hub, then give token=, or run: hf auth login",
        )
    if _status(error) in (401, 403) or _has(names, _REFUSED):
        return f"access is refused: {text}", "check that your credentials allow it"
    if _is_no_answer(error):
        return f"no answer: {text}", "check the address and the network"
    return text, None


def _is_no_answer(error: BaseException) -> bool:
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    return _has(names, _UNREACHABLE) or _status(error) in PASSING_STATUSES


def is_unreachable(error: BaseException) -> bool:
    """Whether an error or its cause says that no server answered, or that the failure may pass."""
    cause: BaseException | None = error
    while cause is not None:
        if not isinstance(cause, BioscanError) and _is_no_answer(cause):
            return True
        cause = cause.__cause__
    return False


def _has(names: list[str], parts: tuple[str, ...]) -> bool:
    return any(part in name for name in names for part in parts)


def _status(error: BaseException) -> int | None:
    answer = getattr(error, "response", None)
    found = getattr(error, "status", None) or getattr(answer, "status_code", None)
    return found if isinstance(found, int) else None


def is_passing(error: BioscanError) -> bool:
    """Whether an error is retryable: not if access is refused or the file does not exist."""
    cause = error.__cause__
    if not isinstance(cause, Exception) or isinstance(cause, FileNotFoundError):
        return False
    names = [kind.__name__.lower() for kind in type(cause).__mro__]
    status = _status(cause)
    lasting = status is not None and 400 <= status < 500 and status not in PASSING_STATUSES
    return not lasting and not _has(names, _REFUSED)


def with_retries(where: RemotePath, what: str, kind: type[BioscanError], ask: Callable[[], T]) -> T:
    """Call a driver, and retry after a retryable error.

    Args:
        where: The URL.
        what: The failure, as in ``explained``.
        kind: The class of the error to raise.
        ask: Calls the driver; it may be called more than once.

    Raises:
        BioscanError: Of class ``kind``, with the driver's error as its cause.
    """

    def attempt() -> T:
        with explained(where, what, kind):
            return ask()

    def passing(error: Exception) -> float | None:
        return 0.0 if isinstance(error, BioscanError) and is_passing(error) else None

    return persist(attempt, passing, _PATIENCE)


class FsspecFile(Source):
    """A file in any file system that ``fsspec`` supports.

    Raises:
        ArchiveError: It cannot be opened, or the driver does not report its length.
    """

    def __init__(self, path: RemotePath) -> None:
        self.location = path.url
        self._at = path
        self._driver: tuple[AbstractFileSystem, str] | None = None
        # The FTP driver has one connection, which serves only one request at a time.
        self._lock = threading.Lock() if path.scheme == "ftp" else nullcontext()
        info = self._ask("cannot be opened", lambda system, name: system.info(name))
        if info.get("size") is None:
            raise ArchiveError("its length is not known", where=self.location)
        self.size = int(info["size"])
        known = ("ETag", "etag", "blob_id", "xet_hash", "mtime", "LastModified", "created")
        self.version = str([info[key] for key in known if info.get(key)])

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``."""
        stop = min(offset + length, self.size)
        if stop <= offset:
            return b""
        data = self._ask(
            f"cannot be read at byte {offset:,}",
            lambda system, name: _range(system, name, offset, stop, self._at.scheme),
        )
        if len(data) < stop - offset:
            raise ArchiveError(f"breaks off at byte {offset + len(data):,}", where=self.location)
        return data

    def _ask(self, what: str, ask: Callable[[AbstractFileSystem, str], T]) -> T:
        def attempt() -> T:
            with self._lock:
                driver = self._driver or file_system(self._at)
                self._driver = None
                answer = ask(*driver)
                # Keep the driver only on success, so that a retry makes a new connection.
                self._driver = driver
                return answer

        return with_retries(self._at, what, ArchiveError, attempt)


def _range(system: AbstractFileSystem, name: str, start: int, stop: int, scheme: str) -> bytes:
    if scheme == "hf":
        # By default the Hub's driver reads far beyond the range, and then discards the rest.
        with system.open(name, "rb", cache_type="none") as file:
            file.seek(start)
            return bytes(file.read(stop - start))
    return bytes(system.cat_file(name, start=start, end=stop))
