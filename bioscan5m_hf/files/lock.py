"""Lock a file, so that only one process writes the folder that the file protects."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bioscan5m_hf.storage.inside import open_own

_ATTEMPTS: Final = 100
# The errors for a lock that another process holds; emulated locks may report the second one.
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})


def lock(descriptor: int) -> str | None:
    """Lock an open file; the kernel releases the lock when the process ends in any way.

    Returns:
        ``None`` if the file is now locked. Otherwise the system's message why it cannot be locked,
        for example because the file system has no locks.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise BlockingIOError(*error.args) from error
        return error.strerror or str(error)
    return None


def open_made(path: Path) -> int:
    """Open a file, and create it and its folder if they do not exist.

    Another process may remove the empty folder at that moment, when it ends. The folder is then
    created again.

    Raises:
        OSError: It cannot be opened, is a link, or is no regular file.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return open_own(path)
        except (FileNotFoundError, FileExistsError):
            if not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def open_locked(path: Path, opened: Callable[[], int]) -> tuple[int, str | None]:
    """Open and lock the file at a path.

    Between opening and locking, the process that held the lock may remove or rename the file. Then
    the lock would exclude no one, and data would be written to a file that no longer has this name.
    In that case, the file that now has the name is opened instead.

    Args:
        path: The file.
        opened: Opens the file, and creates it if it is missing.

    Returns:
        The descriptor, and the result of ``lock``.

    Raises:
        BlockingIOError: Another process holds the lock.
        OSError: Raised by ``opened``.
    """
    while True:
        descriptor = opened()
        try:
            missing = lock(descriptor)
            if missing or _has_name(path, descriptor):
                return descriptor, missing
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let only one process or thread at a time run the block; others wait.

    Args:
        path: The lock file; it is created if it does not exist, and is not removed. If the file
            system has no locks, nothing waits.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = open_own(path)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_locked(path: Path) -> int:
    """Create a file that is already locked when it gets its name, if the file system has locks.

    Raises:
        OSError: It cannot be created.
    """
    beginning = path.with_name(f"{path.name}.new")
    descriptor = os.open(beginning, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        lock(descriptor)
        beginning.rename(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _has_name(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
