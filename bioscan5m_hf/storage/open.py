"""Files that are read over a network, by ranges of bytes."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.fsspec import explained, file_system
from bioscan5m_hf.storage.local import LocalFile, Source

Options = tuple[tuple[str, Any], ...]

_SMALLEST_READ: Final = 1 << 16
_LARGEST_READ: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder behind a URL.

    Attributes:
        url: Such as ``https://host/folder/file.zip`` or ``hf://datasets/user/name/file.zip``.
        options: What the file system wants to be opened with, such as a token.
    """

    url: str
    options: Options = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return PurePosixPath(self.url).name

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the URL, from the scheme on."""
        return PurePosixPath(self.url).parts

    @property
    def is_http(self) -> bool:
        """Whether it is read by HTTP without a file system in between."""
        return self.url.startswith(("http://", "https://"))

    def __truediv__(self, below: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{below}", self.options)

    def __str__(self) -> str:
        return self.url


Location = Path | RemotePath

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def location_of(path: str | Path, options: Mapping[str, Any] | None = None) -> Location:
    """Tell a URL from a path.

    Args:
        path: Either. A path may be relative and begin with ``~``, and may hold a colon.
        options: What a remote file system wants to be opened with.

    Returns:
        The URL, or the absolute path: what is relative now means the same later, in another folder
        and in another process.
    """
    text = os.fspath(path)
    if not _URL.match(text):
        return Path(text).expanduser().absolute()
    if text.startswith("file://"):
        parsed = urlsplit(text)
        if parsed.netloc in ("", "localhost"):
            return Path(unquote(parsed.path)).absolute()
    return RemotePath(text.rstrip("/"), tuple(sorted((options or {}).items())))


class FsspecFile:
    """A file of any file system that ``fsspec`` knows.

    Args:
        path: Its URL.

    Raises:
        ArchiveError: It cannot be opened.
    """

    def __init__(self, path: RemotePath) -> None:
        self.location = path.url
        self._fs, self._path = file_system(path)
        with explained(self.location, "cannot be opened", ArchiveError):
            info = self._fs.info(self._path)
        if info.get("size") is None:
            raise ArchiveError("its length is not known", where=self.location)
        self.size = int(info["size"])
        known = ("ETag", "etag", "blob_id", "xet_hash", "mtime", "LastModified", "created")
        self.version = str([info[key] for key in known if info.get(key)])

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``."""
        stop = min(offset + length, self.size)
        if stop <= offset:
            return b""
        with explained(self.location, f"cannot be read at byte {offset:,}", ArchiveError):
            data = self._range(offset, stop)
        if len(data) < stop - offset:
            raise ArchiveError(f"breaks off at byte {offset + len(data):,}", where=self.location)
        return data

    def _range(self, start: int, stop: int) -> bytes:
        if self.location.startswith("hf://"):
            # Its driver reads ahead by itself, far beyond the range, and forgets that at once.
            with self._fs.open(self._path, "rb", cache_type="none") as file:
                file.seek(start)
                return bytes(file.read(stop - start))
        return bytes(self._fs.cat_file(self._path, start=start, end=stop))

    def close(self) -> None:
        """The file system is shared and stays."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ReadAhead:
    """A source that reads on while it is read in order, ever more at a time.

    Args:
        source: What is read.
        largest: How many bytes are asked for at most beyond what is wanted.
    """

    def __init__(self, source: Source, largest: int = _LARGEST_READ) -> None:
        self.location = source.location
        self.size = source.size
        self._source = source
        self._largest = largest
        self._ahead = _SMALLEST_READ
        self._start = 0
        self._held = b""
        self._lock = threading.Lock()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from ``offset``, from what is held where possible."""
        with self._lock:
            stop = self._start + len(self._held)
            if self._start <= offset and min(offset + length, self.size) <= stop:
                return self._held[offset - self._start : offset - self._start + length]
            in_order = self._start <= offset <= stop and self._held
            self._ahead = min(2 * self._ahead, self._largest) if in_order else _SMALLEST_READ
            kept = self._held[offset - self._start :] if in_order else b""
            wanted = max(length, self._ahead) - len(kept)
            self._held = kept + self._source.read_at(offset + len(kept), wanted)
            self._start = offset
            return self._held[:length]

    def close(self) -> None:
        """Close what is read."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_location(location: str | Location) -> Source:
    """Open a file for random access, wherever it lies.

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
    # Not at the top: the standard library's client takes long to import, and most files are here.
    from bioscan5m_hf.storage.http import HttpFile

    return HttpFile(location)


def is_in_memory(location: Location | None) -> bool:
    """Whether a location lies in the memory of this process, where no other one sees it."""
    return isinstance(location, RemotePath) and location.url.startswith("memory://")


def read_whole(location: Location, limit: int) -> bytes:
    """Read a small file.

    Args:
        location: The file.
        limit: How many bytes it may have.

    Raises:
        ArchiveError: It cannot be read, or has more bytes.
    """
    with open_location(location) as source:
        if source.size > limit:
            raise ArchiveError(
                f"has {source.size:,} bytes, and at most {limit:,} are read", where=source.location
            )
        return source.read_at(0, source.size)


def exists(location: Location) -> bool:
    """Whether there is a file.

    Raises:
        ArchiveError: The server cannot be reached, or answers something else than yes or no.
    """
    if isinstance(location, Path):
        return location.is_file()
    if not location.is_http:
        system, name = file_system(location)
        with explained(location.url, "cannot be looked for", ArchiveError):
            return bool(system.isfile(name))
    from bioscan5m_hf.storage.http import is_there

    return is_there(location)
