"""The fsspec driver behind a URL, and what it complains of, in words of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import BioscanError, MissingDependency, UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from bioscan5m_hf.storage.open import RemotePath

_LONGEST: Final = 200
# Drivers raise errors of the libraries beneath them, which need not be installed here; these are
# parts of their names.
_REFUSED: Final = ("credentials", "permission", "forbidden", "accessdenied", "unauthorized")
_UNREACHABLE: Final = ("connect", "timeout", "gaierror", "dns", "unreachable")


def file_system(path: RemotePath) -> tuple[AbstractFileSystem, str]:
    """The file system behind a URL, and how it names the file.

    Args:
        path: The URL.

    Raises:
        MissingDependency: What serves the scheme is not installed.
        UsageError: The scheme is not known.
        BioscanError: The driver cannot be set up.
    """
    import fsspec

    try:
        with explained(path.url, "cannot be opened", UsageError):
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
    """What to install for a scheme."""
    from fsspec.registry import known_implementations

    module = str(known_implementations.get(scheme, {}).get("class", "")).partition(".")[0]
    if module and module != "fsspec":
        return module
    cause = error.__cause__ or error.__context__
    return error.name or (cause.name if isinstance(cause, ImportError) else None) or scheme


@contextmanager
def explained(where: str, what: str, kind: type[BioscanError]) -> Iterator[None]:
    """Turn what a driver raises in the block into an error of this project.

    Args:
        where: The URL.
        what: What could not be done, such as ``cannot be read``.
        kind: The error to raise.

    Raises:
        BioscanError: Of that kind, with the driver's error as its cause.
    """
    try:
        yield
    except BioscanError:
        raise
    # Whatever a driver raises: botocore, aiohttp, ftplib, paramiko … have trees of their own.
    except Exception as error:
        told, fix = _told(error)
        raise kind(f"{what} ({told})", where=where, fix=fix) from error


def _told(error: Exception) -> tuple[str, str | None]:
    text = " ".join(str(error).split())[:_LONGEST] or type(error).__name__
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    if isinstance(error, FileNotFoundError):
        return f"there is nothing there: {text}", None
    if _status(error) in (401, 403) or _has(names, _REFUSED):
        return f"access is refused: {text}", "see that your credentials allow it"
    if _has(names, _UNREACHABLE):
        return f"no answer: {text}", "see that the address is right and the network is up"
    return text, None


def _has(names: list[str], parts: tuple[str, ...]) -> bool:
    return any(part in name for name in names for part in parts)


def _status(error: Exception) -> int | None:
    answer = getattr(error, "response", None)
    found = getattr(error, "status", None) or getattr(answer, "status_code", None)
    return found if isinstance(found, int) else None


def is_passing(error: BioscanError) -> bool:
    """Whether it is worth while to ask again: not where access is refused or nothing is there.

    Args:
        error: What ``explained`` raised.
    """
    cause = error.__cause__
    if not isinstance(cause, Exception) or isinstance(cause, FileNotFoundError):
        return False
    names = [kind.__name__.lower() for kind in type(cause).__mro__]
    return _status(cause) not in (401, 403) and not _has(names, _REFUSED)
