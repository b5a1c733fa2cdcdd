"""What the system refuses: bytes of a file, as a disk does that becomes full."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files_of_at_most(limit: int) -> Iterator[None]:
    """In the block the system takes no more bytes of a file, as a disk does that becomes full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is first imported in the block would be kept cut off, and fail when imported again.
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = writes_none
