"""Copy files of a remote dataset folder to the disk temporarily, to read them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bioscan5m_hf.errors import BioscanError
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.readers.formats import SUFFIXES
from bioscan5m_hf.release.remote import list_files
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME
from bioscan5m_hf.storage.inside import to_write
from bioscan5m_hf.storage.open import exists
from bioscan5m_hf.storage.path import Location, RemotePath, location_of
from conversion.folder.manifest import ShardFile, read_manifest
from conversion.upload.stores import fetch


@contextmanager
def without_shards(root: Location) -> Iterator[Path]:
    """Provide the manifest and the other small files of a dataset folder on the disk.

    Raises:
        ForeignFolder: There is no manifest, or it cannot be read.
        ArchiveError: The server cannot be reached.
    """
    if not isinstance(root, RemotePath):
        yield root
        return
    with temporary_folder() as folder:
        try:
            _fetch_present(root, MANIFEST_NAME, MANIFEST_BYTES, folder)
            for file in read_manifest(folder).extras.values():
                _fetch_present(root, file.path, file.bytes, folder)
            yield folder
        except BioscanError as error:
            raise about_url(error, folder, root) from error


@contextmanager
def of_shard(folder: str, file: ShardFile) -> Iterator[Path]:
    """Provide a folder on the disk that contains at least one shard of a dataset folder.

    Args:
        folder: The dataset folder, a path or a URL.
        file: The manifest's entry of the shard; the shard itself may be missing.

    Raises:
        ArchiveError: The server cannot be reached.
    """
    root = location_of(folder)
    if not isinstance(root, RemotePath):
        yield root
        return
    with temporary_folder() as work:
        _fetch_present(root, file.path, file.bytes, work)
        yield work


def _fetch_present(root: RemotePath, path: str, limit: int, folder: Path) -> None:
    # The caller reports a missing file as a finding; a server that does not answer is an error. One
    # byte more than the limit is enough to detect that a file is too long.
    if exists(root / path):
        fetch(root / path, to_write(folder, path), limit + 1)


def shard_names(root: Location) -> list[str]:
    """The files of a dataset folder that look like shards, as far as they can be listed."""
    if isinstance(root, RemotePath):
        paths = [path.relative_to(root) for path in list_files(root) or []]
    else:
        paths = [path.relative_to(root).as_posix() for path in root.rglob("*")]
    return sorted(path for path in paths if path.endswith(tuple(SUFFIXES)))


def about_url(error: BioscanError, folder: Path, url: RemotePath) -> BioscanError:
    """Return the same error, with the user's URL in place of the path of the copy."""

    def renamed(text: str | None) -> str | None:
        return text.replace(str(folder), str(url)) if text else text

    return type(error)(
        renamed(error.found) or "", where=renamed(error.where), fix=renamed(error.fix)
    )
