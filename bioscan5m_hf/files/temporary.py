"""Make temporary folders, and remove those of runs that were killed."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from bioscan5m_hf.files.lock import lock, make_locked

_PREFIX: Final = "bioscan5m-run-"
_LOCK: Final = ".in-use"


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder, and remove it at the end; folders of killed runs are removed first.

    Args:
        parent: The folder to make it in, under a hidden name; TMPDIR by default.

    Yields:
        The folder. It is empty except for a hidden file that is locked until the run ends.

    Raises:
        OSError: It cannot be made.
    """
    place = parent or Path(tempfile.gettempdir())
    prefix = f".{_PREFIX}" if parent else _PREFIX
    _clear(place, prefix)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        # The file must be locked from its first moment: another run may at any time remove folders
        # whose file is not locked.
        descriptor = make_locked(made / _LOCK)
        try:
            yield made
        finally:
            os.close(descriptor)
    finally:
        _remove(made)


def _clear(folder: Path, prefix: str) -> None:
    """Remove the folders of this user's runs that have ended."""
    for left in folder.glob(f"{prefix}*"):
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
                _remove(left)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a folder as far as possible, its lock last.

    If the removal is killed, the lock still tells a later run that nobody uses the folder.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != _LOCK:
                Path(entry).unlink()
    shutil.rmtree(folder, ignore_errors=True)
