"""Tell lack of memory from other errors: no file and no disk is at fault."""

from __future__ import annotations

import errno
from typing import Final

# What those say that have no class for it: Python, Arrow's pool of threads, C++. There is no thread
# where there is no room for its stack.
_WORDS: Final = ("can't start new thread", "Failed to launch worker thread", "bad_alloc")


def is_no_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory, or was raised because of one that does."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return True
        if any(words in str(cause) for words in _WORDS):
            return True
        cause = cause.__cause__
    return False


def require_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` where an error says that there is no memory.

    Raises:
        MemoryError: It says that.
    """
    if is_no_memory(error):
        raise MemoryError from error
