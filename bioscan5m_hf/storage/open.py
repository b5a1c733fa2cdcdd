"""Open local and remote files with the reader for their scheme."""

from __future__ import annotations

from pathlib import Path

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.fsspec import FsspecFile, file_system, with_retries
from bioscan5m_hf.storage.local import LocalFile, Source
from bioscan5m_hf.storage.path import Location, location_of


def open_location(location: str | Location) -> Source:
    """Open a local or remote file for random access.

    Raises:
        ArchiveError: It cannot be opened.
        UsageError: The URL's scheme is not known.
    """
    if isinstance(location, str):
        location = location_of(location)
    if isinstance(location, Path):
        return LocalFile(location)
    if not location.is_http:
        return FsspecFile(location)
    # Imported late: the HTTP client takes long to import, and most files are local.
    from bioscan5m_hf.storage.http import HttpFile

    return HttpFile(location)


def read_whole(location: Location, limit: int) -> bytes:
    """Read a small file.

    Raises:
        ArchiveError: It cannot be read, or has more than ``limit`` bytes.
    """
    with open_location(location) as source:
        if source.size > limit:
            raise ArchiveError(
                f"has {source.size:,} bytes, and at most {limit:,} are read", where=source.location
            )
        return source.read_at(0, source.size)


def exists(location: Location) -> bool:
    """Whether a file exists.

    Raises:
        ArchiveError: The server cannot be reached, or its answer does not settle the question.
    """
    if isinstance(location, Path):
        return location.is_file()
    if not location.is_http:

        def ask() -> bool:
            system, name = file_system(location)
            return bool(system.isfile(name))

        return with_retries(location, "cannot be looked for", ArchiveError, ask)
    from bioscan5m_hf.storage.http import is_there

    return is_there(location)
