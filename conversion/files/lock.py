"""Lock a file that stands for something only one process may write."""

from __future__ import annotations

import errno
import fcntl

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
