"""Make temporary folders, and remove those of runs that were killed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bioscan5m_hf.files.lock import lock, make_locked

_PREFIX: Final = "bioscan5m-run-"
_LOCK: Final = ".in-use"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder in TMPDIR, and remove it at the end; folders of killed runs are removed first.

    Yields:
        The folder. It is empty except for a hidden file that is locked until the run ends.
    """
    _clear(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made:
        # The file must be locked from its first moment: another run may at any time remove folders
        # whose file is not locked.
        descriptor = make_locked(Path(made) / _LOCK)
        try:
            yield Path(made)
        finally:
            os.close(descriptor)


def _clear(folder: Path) -> None:
    """Remove the folders of this user's runs that have ended."""
    for left in folder.glob(f"{_PREFIX}*"):
        try:
            found = left.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            # If there is no lock file, the run has just begun.
            descriptor = os.open(left / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            # On a file system without locks, it is unknown whether the run still lives.
            if lock(descriptor) is None:
                shutil.rmtree(left, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
