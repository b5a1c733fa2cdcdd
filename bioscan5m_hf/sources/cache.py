"""Create folders of the cache atomically, for the indexes of raw releases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.storage.disk import cache_error


def made_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """Create a folder of the cache if it does not exist yet; it appears atomically.

    Args:
        folder: The folder.
        write: Writes its content into an empty folder.

    Returns:
        The folder.

    Raises:
        OutputError: The cache cannot be written to.
    """
    if folder.is_dir():
        return folder
    try:
        _make(folder, write)
    except OSError as error:
        raise cache_error(error, folder.parent) from error
    except OutputError as error:
        # Code that writes not only to caches raised this error, so it does not mention the cache.
        if isinstance(error.__cause__, OSError):
            raise cache_error(error.__cause__, folder.parent) from error
        raise
    return folder


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # The next run removes this folder if a run is killed; otherwise gigabytes could pile up.
        with temporary_folder(folder.parent) as made:
            work = made / folder.name
            work.mkdir()
            write(work)
            work.rename(folder)
    except OSError:
        # Another process has created it first.
        if not folder.is_dir():
            raise
