"""Make temporary folders that a later run removes if theirs was killed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conversion.files.lock import lock, make_locked

_PREFIX: Final = "bioscan5m-run-"
_LOCK: Final = ".in-use"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in TMPDIR that is removed at the end; what killed runs left there is removed first.

    Yields:
        The folder, which is empty but for a hidden file that is locked as long as the run lives.
    """
    _clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made:
        # Another run may clear what is not locked, and looks at any moment.
        descriptor = make_locked(Path(made) / _LOCK)
        try:
            yield Path(made)
        finally:
            os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove the folders of runs of this user that live no more."""
    for left in folder.glob(f"{_PREFIX}*"):
        try:
            found = left.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            # Where there is none, its run has just begun.
            descriptor = os.open(left / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            # A file system without locks does not tell who lives.
            if lock(descriptor) is None:
                shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
