"""Local copies of what a dataset folder behind a URL holds, as long as they are looked at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bioscan5m_hf.errors import BioscanError
from bioscan5m_hf.release.remote import list_files
from bioscan5m_hf.schema.formats import SUFFIXES
from bioscan5m_hf.storage.open import Location, RemotePath, exists, location_of
from conversion.folder.manifest import MANIFEST_NAME, read_manifest
from conversion.upload.stores import fetch


@contextmanager
def without_shards(root: Location) -> Iterator[Path]:
    """The manifest and the other small files of a dataset folder, on the disk.

    Args:
        root: The dataset folder.

    Raises:
        ForeignFolder: There is no manifest, or it cannot be read.
        ArchiveError: The server cannot be reached.
    """
    if not isinstance(root, RemotePath):
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="bioscan5m-") as work:
        folder = Path(work)
        try:
            _fetch_present(root, MANIFEST_NAME, folder)
            for path in read_manifest(folder).extras:
                _fetch_present(root, path, folder)
            yield folder
        except BioscanError as error:
            raise about_url(error, folder, root) from error


@contextmanager
def of_shard(folder: str, path: str) -> Iterator[Path]:
    """A dataset folder on the disk that holds at least one shard.

    Args:
        folder: The dataset folder, a path or a URL.
        path: The shard's path in it; it may be missing.

    Raises:
        ArchiveError: The server cannot be reached.
    """
    root = location_of(folder)
    if not isinstance(root, RemotePath):
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="bioscan5m-") as work:
        _fetch_present(root, path, Path(work))
        yield Path(work)


def _fetch_present(root: RemotePath, path: str, folder: Path) -> None:
    # What is missing is a finding; a server that does not answer is not.
    if exists(root / path):
        fetch(root / path, folder / path)


def shard_names(root: Location) -> list[str]:
    """The files of a dataset folder that look like shards, as far as they can be listed.

    Args:
        root: The dataset folder.
    """
    if isinstance(root, RemotePath):
        paths = [str(path).removeprefix(f"{root.url}/") for path in list_files(root) or []]
    else:
        paths = [path.relative_to(root).as_posix() for path in root.rglob("*")]
    return sorted(path for path in paths if path.endswith(tuple(SUFFIXES)))


def about_url(error: BioscanError, folder: Path, url: RemotePath) -> BioscanError:
    """The error, about the URL that was asked for instead of a folder on the disk.

    Args:
        error: What was raised.
        folder: The folder on the disk.
        url: What it stands for.
    """

    def told(text: str | None) -> str | None:
        return text.replace(str(folder), str(url)) if text else text

    return type(error)(told(error.found) or "", where=told(error.where), fix=told(error.fix))
