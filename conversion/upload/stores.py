"""Write files to a remote folder through its ``fsspec`` driver.

How a file appears depends on the store:

- Object stores (S3, Google Cloud Storage, Azure and similar): a put is atomic. The new file appears
  with all its bytes, and an old file of that name exists until then.
- Stores with renaming (FTP, SFTP, SMB, HDFS, WebDAV …): a file is sent under a hidden name and then
  renamed. An old file of that name is removed just before, because not every server can rename
  over a file.

Stores have no locks: unlike in a local folder, two conversions into one URL do not exclude each
other.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_128

from bioscan5m_hf.errors import (
    ArchiveError,
    ForeignFolder,
    OutputError,
    UsageError,
)
from bioscan5m_hf.storage.fsspec import FsspecFile, explained, file_system, with_retries
from bioscan5m_hf.storage.inside import require_inside
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import RemotePath
from conversion.files.atomic import PARTIAL_SUFFIX, Written

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ATOMIC: Final = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "oci", "memory"}
)
_READ_ONLY: Final = {
    "http": "cannot write to a web server",
    "https": "cannot write to a web server",
    "hf": "a repository of the Hub is published to",
}
_FIXES: Final = {"hf": "use --publish user/name"}
_BLOCK: Final = 8 << 20


class Store:
    """A remote folder.

    Raises:
        UsageError: Nothing can be written to URLs of this scheme.
        MissingDependency: The driver is not installed.
    """

    def __init__(self, root: RemotePath) -> None:
        self.root = root
        scheme = root.scheme
        if scheme in _READ_ONLY:
            raise UsageError(_READ_ONLY[scheme], where=root.url, fix=_FIXES.get(scheme))
        self._atomic = scheme in _ATOMIC
        # This only checks that there is a driver. Each method gets the file system again, because
        # drivers have one connection for each thread.
        file_system(root)

    def files(self) -> dict[str, int]:
        """List every file of the folder, including hidden ones, with its length.

        Raises:
            OutputError: The store refuses, or does not answer.
        """

        def ask() -> dict[str, int]:
            system, folder = file_system(self.root)
            system.invalidate_cache()
            try:
                found = system.find(folder, detail=True)
            except FileNotFoundError:
                return {}
            prefix = folder.rstrip("/") + "/"
            sizes = {
                name.removeprefix(prefix): int(info["size"] or 0)
                for name, info in found.items()
                if name.startswith(prefix)
            }
            for path in sizes:
                self._require_inside(path)
            return sizes

        return with_retries(self.root, "cannot be listed", OutputError, ask)

    def _require_inside(self, path: str) -> None:
        try:
            require_inside(path, hidden=True)
        except ValueError as error:
            raise ForeignFolder(
                f"the store lists a file that this program did not put there: {error}",
                where=str(self.root),
                fix="choose an empty or a new folder",
            ) from error

    def put(self, path: str, source: Path, written: Written) -> None:
        """Send a file, and check that the store has its bytes.

        Raises:
            OutputError: The store refuses, does not answer, or has other bytes.
        """

        def send() -> None:
            self._send(path, source)
            self._prove(path, written)

        with_retries(self.root / path, "cannot be written", OutputError, send)

    def _send(self, path: str, source: Path) -> None:
        system, folder = file_system(self.root)
        final = f"{folder.rstrip('/')}/{path}"
        if self._atomic:
            system.put_file(str(source), final)
            return
        parent, _, name = final.rpartition("/")
        hidden = f"{parent}/.{name}.{os.getpid()}{PARTIAL_SUFFIX}"
        system.makedirs(parent, exist_ok=True)
        system.put_file(str(source), hidden)
        system.invalidate_cache(parent)
        if system.exists(final):
            system.rm_file(final)
        system.mv(hidden, final)

    def _prove(self, path: str, written: Written) -> None:
        system, _ = file_system(self.root)
        system.invalidate_cache()
        found = xxh3_128()
        with FsspecFile(self.root / path) as file:
            size = file.size
            if size == written.bytes:
                for start in range(0, size, _BLOCK):
                    found.update(file.read_at(start, _BLOCK))
        if size != written.bytes or found.hexdigest() != written.xxh3:
            raise OutputError(
                f"the store has different bytes than were sent ({size:,} of {written.bytes:,})",
                where=str(self.root / path),
                fix="run the same command again",
            )

    def remove(self, path: str) -> None:
        """Remove a file, if it is there.

        Raises:
            OutputError: The store refuses, or does not answer.
        """

        def ask() -> None:
            system, folder = file_system(self.root)
            try:
                system.rm_file(f"{folder.rstrip('/')}/{path}")
            except FileNotFoundError:
                return
            if self._atomic:
                return
            # If an empty folder cannot be removed, it does no harm.
            with suppress(OutputError), explained(self.root, "cannot be tidied", OutputError):
                _remove_empty(system, folder.rstrip("/"), path)

        with_retries(self.root / path, "cannot be removed", OutputError, ask)


def _remove_empty(system: AbstractFileSystem, folder: str, path: str) -> None:
    """Remove the parent folders of a file that are empty now."""
    for above in PurePosixPath(path).parents:
        name = f"{folder}/{above}"
        system.invalidate_cache()
        # Not every server refuses to remove a folder that is not empty.
        if not above.name or system.ls(name, detail=False):
            return
        system.rmdir(name)


def fetch(location: RemotePath, target: Path, limit: int | None = None) -> None:
    """Fetch a file in ranges.

    Args:
        location: Its URL.
        target: The path to write to.
        limit: The maximum number of bytes to fetch.

    Raises:
        ArchiveError: It does not exist, or cannot be read.
        OutputError: There is not enough disk space.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    source: Source = open_location(location)
    with source, ExitStack() as opened:
        length = source.size if limit is None else min(source.size, limit)
        if length > (free := shutil.disk_usage(target.parent).free):
            raise OutputError(
                f"has {length:,} bytes, and there is room for {free:,} in {target.parent}",
                where=str(location),
                fix="set TMPDIR to a folder on a larger disk",
            )
        file = opened.enter_context(target.open("wb"))
        for start in range(0, length, _BLOCK):
            wanted = min(_BLOCK, length - start)
            data = source.read_at(start, wanted)
            if len(data) < wanted:
                raise ArchiveError(f"breaks off at byte {start + len(data):,}", where=str(location))
            file.write(data)
