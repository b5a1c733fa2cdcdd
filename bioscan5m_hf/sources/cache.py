"""Keep the indexes of raw releases in a cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.storage.disk import cache_error


def made_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """A folder of the cache, made where it is not there yet; it appears whole.

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
        # From code that also writes elsewhere, and does not say that this is a cache.
        if isinstance(error.__cause__, OSError):
            raise cache_error(error.__cause__, folder.parent) from error
        raise
    return folder


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # What takes gigabytes is not left there by processes that are killed again and again.
        with temporary_folder(folder.parent) as made:
            work = made / folder.name
            work.mkdir()
            write(work)
            work.rename(folder)
    except OSError:
        # Another process was faster.
        if not folder.is_dir():
            raise
