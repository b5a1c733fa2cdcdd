"""Explain why something could not be written to a disk, and how to fix it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.memory import require_memory

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_ANOTHER: Final = "name another cache with cache_dir= or HF_DATASETS_CACHE"


def output_error(error: OSError, path: Path) -> OutputError:
    """Explain why a file could not be written."""
    if number_of(error) in _FULL:
        return OutputError(
            "there is no space left on the disk",
            where=str(path),
            fix="make room and run the same command again",
        )
    return OutputError(f"cannot be written ({system_message(error)})", where=str(path))


def cache_error(error: OSError, folder: Path) -> OutputError:
    """Explain why something could not be written to a cache.

    Raises:
        MemoryError: There is too little memory, which is not the fault of the disk.
    """
    require_memory(error)
    what = f"the cache cannot be written to ({system_message(error)})"
    room = "make room on its disk, or " if number_of(error) in _FULL else ""
    return OutputError(what, where=str(folder), fix=room + _ANOTHER)


@contextmanager
def explained(what: str, folder: Path, fix: str) -> Iterator[None]:
    """Turn an ``OSError`` raised in the block into an ``OutputError``.

    Raises:
        MemoryError: There is too little memory, which is not the fault of the disk.
        OutputError: An operating system call failed.
    """
    try:
        yield
    except OSError as error:
        require_memory(error)
        raise OutputError(
            f"{what} ({system_message(error)})", where=str(folder), fix=fix
        ) from error


@contextmanager
def writing_to_cache(folder: Path) -> Iterator[None]:
    """Turn an ``OSError`` raised in the block into an error about the cache.

    Raises:
        MemoryError: There is too little memory, which is not the fault of the disk.
        OutputError: The cache cannot be written to.
    """
    try:
        yield
    except OSError as error:
        raise cache_error(error, folder) from error


def number_of(error: BaseException) -> int | None:
    """The ``errno`` of an error, or of the error that a library has wrapped in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return cause.errno
        cause = cause.__cause__ or cause.__context__
    return None


def system_message(error: OSError) -> str:
    """The system's message for an error, without the words that libraries add to it."""
    number = number_of(error)
    return " ".join(str(error).split()) if number is None else os.strerror(number)
