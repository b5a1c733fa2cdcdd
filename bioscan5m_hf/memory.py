"""Recognise errors that mean lack of memory, so that no file or disk is blamed for them."""

from __future__ import annotations

import errno
from typing import Final

# Messages of Python, Arrow's thread pool and C++, which have no class for this error. A thread
# cannot start if there is no memory for its stack.
_WORDS: Final = ("can't start new thread", "Failed to launch worker thread", "bad_alloc")


def is_no_memory(error: BaseException) -> bool:
    """Whether an error or one of its causes means that there is too little memory."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or getattr(cause, "errno", None) == errno.ENOMEM:
            return True
        if any(words in str(cause) for words in _WORDS):
            return True
        cause = cause.__cause__
    return False


def require_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` if an error means that there is too little memory.

    Raises:
        MemoryError: It means that.
    """
    if is_no_memory(error):
        raise MemoryError from error
