"""Read, write and remove only inside the folder that the user named, because folders are untrusted.

Dataset folders come from strangers. A name in one may lead out of it (``..``, an absolute path, a
symbolic link), or to something that is not a file (a device, a pipe without a writer). These rules
hold for everything below the folder that the user named:

- Read only regular files. Links to them are followed, since a package may lie on another disk and
  the Hub's cache consists of links.
- Write and remove only if no folder of the path is a link. If the file itself is a link, the link
  is replaced or removed, and its target is left alone.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from bioscan5m_hf.errors import ForeignFolder

_LONGEST_NAME: Final = 1024


def require_inside(name: object, *, hidden: bool = False) -> str:
    """Check that an untrusted path stays in its folder, and return it.

    Args:
        name: A path relative to the folder, with ``/`` between its parts.
        hidden: Whether parts of it may begin with a dot.

    Raises:
        ValueError: It is absolute, has ``..``, an empty part, a backslash or a character that
            cannot be printed, or is longer than any path of this project.
    """
    if not isinstance(name, str):
        raise ValueError(f"{name!r:.80} is no path")
    parts = name.split("/")
    if (
        not all(parts)
        or any(part in {".", ".."} or (part[0] == "." and not hidden) for part in parts)
        or "\\" in name
        or not name.isprintable()
        or len(name) > _LONGEST_NAME
    ):
        raise ValueError(f"the path {name[:120]!r} does not stay in its folder")
    return name


def open_regular(path: Path) -> io.FileIO:
    """Open a file for reading, unbuffered; links are followed.

    Raises:
        OSError: It cannot be opened, or is not a regular file.
    """
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _require_regular(os.fstat(descriptor), path)
        return io.FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_own(path: Path) -> int:
    """Open a file for reading and writing, and create it if it is missing; no link is followed.

    Returns:
        Its descriptor.

    Raises:
        OSError: It cannot be opened, is a link, or is not a regular file.
    """
    # O_NONBLOCK: opening a special file must not wait for the process at its other end.
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o666)
    try:
        _require_regular(os.fstat(descriptor), path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def require_regular(path: Path) -> Path:
    """Check that a path is a regular file or a link to one, and return it.

    Raises:
        OSError: It does not exist, or is not a regular file.
    """
    _require_regular(path.stat(), path)
    return path


def _require_regular(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_small(path: Path, limit: int) -> bytes:
    """Read a whole file.

    Raises:
        OSError: It cannot be read, is not a regular file, or has more than ``limit`` bytes.
    """
    with open_regular(path) as file:
        data = bytearray()
        while block := file.read(limit + 1 - len(data)):
            data += block
            if len(data) > limit:
                raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes", str(path))
        return bytes(data)


def link_on_the_way(folder: Path, name: str) -> Path | None:
    """The first part of the path to a file that is a link or anything but a folder, if any."""
    found = folder
    for part in PurePosixPath(name).parts[:-1]:
        found = found / part
        try:
            if not stat.S_ISDIR(found.lstat().st_mode):
                return found
        except FileNotFoundError:
            return None
    return None


def length_of_own(folder: Path, name: str) -> int:
    """The length of a file in a folder, if no part of its path is a link.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It or a folder of its path is a link, or it is not a regular file.
    """
    path = folder / name
    if found := link_on_the_way(folder, name) or (path if path.is_symlink() else None):
        raise OSError(errno.ELOOP, f"{found.name} leads out of the folder", str(found))
    found_there = path.lstat()
    _require_regular(found_there, path)
    return found_there.st_size


def to_write(folder: Path, name: str) -> Path:
    """The path of a file in a folder, for writing, replacing or removing it.

    Raises:
        ForeignFolder: A folder of its path is a link, or not a folder.
    """
    assert not PurePosixPath(name).is_absolute()
    assert ".." not in PurePosixPath(name).parts
    if (found := link_on_the_way(folder, name)) is not None:
        what = f"is a link to {found.readlink()}" if found.is_symlink() else "is no folder"
        raise ForeignFolder(
            f"{what}, and nothing is written through it",
            where=str(found),
            fix="put a folder in its place, or choose another output folder",
        )
    return folder / name


def remove(folder: Path, name: str) -> None:
    """Remove a file or link; do nothing if a folder of its path is a link."""
    if link_on_the_way(folder, name) is None:
        (folder / name).unlink(missing_ok=True)


def remove_tree(folder: Path, name: str) -> None:
    """Remove a folder and its contents; errors are ignored, and no link is followed."""
    # ``rmtree`` follows no links, neither at its top nor below it.
    if link_on_the_way(folder, name) is None:
        shutil.rmtree(folder / name, ignore_errors=True)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder if it is empty; the check and the removal are atomic."""
    with suppress(OSError):
        folder.rmdir()


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; false for a link that leads to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def real_folders(folder: Path) -> list[Path]:
    """The folders directly below a folder, sorted by name; links are left out."""
    with os.scandir(folder) as entries:
        return sorted(
            folder / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)
        )
