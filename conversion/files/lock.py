"""Lock a file that stands for something only one process may write."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

# What a lock that somebody holds is told as; where locks are emulated it may be the second.
_HELD = frozenset({errno.EWOULDBLOCK, errno.EACCES})


def lock(descriptor: int) -> str | None:
    """Lock an open file; the kernel gives the lock back when the process ends, however it ends.

    Returns:
        Why it cannot be locked, in the system's words, as on a file system that has no locks;
        ``None`` where it is locked now.

    Raises:
        BlockingIOError: Somebody else holds the lock.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            raise BlockingIOError(*error.args) from error
        return error.strerror or str(error)
    return None


def open_locked(path: Path, opened: Callable[[], int]) -> tuple[int, str | None]:
    """Open and lock the file of that name.

    Whoever held the lock may take the file away, or give it another name, between the opening and
    the locking. Then the lock would bar nobody, and what is written would go into a file that has
    become another: the file that has the name now is opened instead.

    Args:
        path: The file.
        opened: Opens it, and makes it where it is missing.

    Returns:
        The descriptor, and why it is not locked as ``lock`` tells it.

    Raises:
        BlockingIOError: Somebody else holds the lock.
        OSError: What ``opened`` raises.
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


def make_locked(path: Path) -> int:
    """Make a file that is locked from the moment at which it has its name, if locks there are.

    Raises:
        OSError: It cannot be made.
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
