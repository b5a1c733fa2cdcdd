"""Detect unchanged files by size, times and inode, without reading them.

Caches use these identities as keys, never a path, a name or a pattern, because a folder may be
moved, or replaced by another one of the same name.

The kernel sets the ``ctime`` of a file whenever its bytes or its times are changed, and no program
can set it back. So a file with the same stamp holds the same bytes.
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

# Images lie in a split's folder or one level below; the limit stops at links that form a circle.
_DEPTH: Final = 3
_AT_A_TIME: Final = 16


def digest_of(*parts: str) -> str:
    """A digest of some texts in their order: 24 hex digits of their SHA-256."""
    return _digest(parts)


def _digest(parts: Iterable[str]) -> str:
    hasher = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        hasher.update(f"{len(data)} ".encode() + data)
    return hasher.hexdigest()[:24]


def stamp_of(found: os.stat_result) -> str:
    """The device, inode, length, mtime and ctime of a file, as text."""
    return f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def file_identity(location: Location) -> str:
    """The identity of a file, which differs if its bytes may differ.

    Args:
        location: The file. The identity of a remote file is its URL, its length, and the version
            or tag that its server gives.

    Raises:
        ArchiveError: It cannot be opened.
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
    """The identity of a folder, which differs if a file was added, removed or changed.

    Args:
        folder: The folder; a link to a file counts as that file.

    Raises:
        ArchiveError: It cannot be listed.
    """
    # Not a list: an unpacked release has millions of files.
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
        ArchiveError: One of them cannot be opened or listed.
    """
    # Requests for remote files run at the same time.
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return digest_of(*pool.map(file_identity, files), "", *map(tree_identity, folders))
