"""Identify the state of a file or folder, for whatever caches, resumes or compares.

Whatever is kept in a cache is kept under an identity from here, never under a path, a name or a
pattern: a folder may be replaced by another one of its name, and moved ones stay what they are.

The kernel sets the time of the last change of a file (``ctime``) whenever its bytes or its times
are changed, and no program can set it back. So a file with the same stamp holds the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.inside import is_folder
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location

# Images lie in a split's folder or one below; the limit ends a circle of links.
_DEPTH: Final = 3
_AT_A_TIME: Final = 16


def digest_of(*parts: str) -> str:
    """A short name for what something is made from, in hex."""
    return _digest(parts)


def _digest(parts: Iterable[str]) -> str:
    told = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        told.update(f"{len(data)} ".encode() + data)
    return told.hexdigest()[:24]


def stamp_of(found: os.stat_result) -> str:
    """What the file system tells of a file, as text: device, inode, length and times of change."""
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def file_identity(location: Location) -> str:
    """The identity of a file: another one wherever its bytes may be others.

    Args:
        location: The file. Of a remote one, the version or the tag that its server gives counts
            beside its URL and its length.

    Raises:
        ArchiveError: It is not there.
    """
    if isinstance(location, Path):
        try:
            return stamp_of(location.stat())
        except OSError as error:
            raise ArchiveError(
                f"cannot be opened ({error.strerror})", where=str(location)
            ) from error
    with open_location(location) as source:
        return f"{source.location} {source.size} {getattr(source, 'version', '')}"


def tree_identity(folder: Path) -> str:
    """The identity of a folder of files: another one wherever a file came, went or was changed.

    Args:
        folder: The folder; links to files count as the files that they lead to.

    Raises:
        ArchiveError: It cannot be listed.
    """
    # One by one: an unpacked release has millions of files.
    return _digest(_stamps(folder, ""))


def _stamps(folder: os.PathLike[str], below: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            if is_folder(entry) and below.count("/") < _DEPTH:
                yield from _stamps(entry, f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name} {_stamp_of_entry(entry)}"
    except OSError as error:
        raise ArchiveError(
            f"cannot be listed ({error.strerror})", where=os.fspath(folder)
        ) from error


def _stamp_of_entry(entry: os.DirEntry[str]) -> str:
    try:
        return stamp_of(entry.stat())
    except OSError as error:
        return f"a link that leads nowhere: {error.strerror}"


def identity_of(files: Iterable[Location], folders: Iterable[Path] = ()) -> str:
    """The identity of some files and folders together, in their order.

    Raises:
        ArchiveError: One of them is not there.
    """
    # Servers are asked for many files at a time.
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return digest_of(*pool.map(file_identity, files), "", *map(tree_identity, folders))
