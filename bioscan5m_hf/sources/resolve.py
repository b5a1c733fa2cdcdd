"""Resolve a path, URL or name, and open it as a dataset folder or as a raw release."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bioscan5m_hf.errors import BioscanError, OutOfReach, ReleaseNotFound
from bioscan5m_hf.release.find import Release, find_release, gather
from bioscan5m_hf.release.layout import archive_at
from bioscan5m_hf.release.remote import list_files, probe_release
from bioscan5m_hf.sources.base import Data, StoredData
from bioscan5m_hf.sources.dataset_folder import folder_of, open_folder
from bioscan5m_hf.sources.prepared import prepared_of
from bioscan5m_hf.sources.raw_release import RawData
from bioscan5m_hf.storage.fsspec import is_unreachable
from bioscan5m_hf.storage.hub import is_repository, pinned
from bioscan5m_hf.storage.path import Location, RemotePath, absolute, location_of

NAME: Final = "bioscan-5m"
PATH_VARIABLE: Final = "BIOSCAN5M_PATH"
_log: Final = logging.getLogger("bioscan5m_hf")
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+")


def resolve(
    path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Location:
    """Find the location that a path, URL or name stands for.

    Args:
        path: A folder, or one zip of a release; a URL; a repository of the Hub such as
            ``user/bioscan-5m``; or ``bioscan-5m``, which is a folder of that name in the current
            folder, else the value of the environment variable ``BIOSCAN5M_PATH``.
        revision: A branch, tag or commit of a repository.
        options: Options for opening a remote file system.

    Raises:
        ReleaseNotFound: There is no such folder.
    """
    text = os.fspath(path)
    found = location_of(text, options)
    if isinstance(found, RemotePath):
        return _revised(found, revision)
    if found.is_dir() or (archive_at(found) and found.is_file()):
        return found
    if text == NAME:
        named = os.environ.get(PATH_VARIABLE)
        if not named:
            raise ReleaseNotFound(
                f"there is no folder {NAME!r} here, and {PATH_VARIABLE} is not set",
                fix=f"set {PATH_VARIABLE} to a dataset folder, a raw release or a repository of "
                "the Hub; make a folder with: bioscan5m convert RELEASE --output bioscan-5m",
            )
        if named == NAME:
            raise ReleaseNotFound(
                f"{PATH_VARIABLE} is {NAME!r} itself, and there is no such folder"
            )
        return resolve(named, revision=revision, options=options)
    if found.exists():
        raise ReleaseNotFound(
            "is neither a folder nor one of upstream's zips of images",
            where=text,
            fix="give the folder it lies in",
        )
    if _REPOSITORY.fullmatch(text) and not text.startswith("."):
        return _revised(location_of(f"hf://datasets/{text}", options), revision)
    raise ReleaseNotFound(
        "there is no such folder",
        where=text,
        fix="give a folder, a URL, or a repository of the Hub such as user/bioscan-5m",
    )


def _revised(location: Location, revision: str | None) -> Location:
    if revision is None or not isinstance(location, RemotePath):
        return location
    match = re.fullmatch(r"(hf://datasets/[^/]+/[^/@]+)(?:@[^/]+)?(/.*)?", location.url)
    if match is None:
        return location
    quoted = revision.replace("/", "%2F")
    return RemotePath(f"{match[1]}@{quoted}{match[2] or ''}", location.options)


def open_data(
    path: str | os.PathLike[str],
    *,
    revision: str | None = None,
    options: Mapping[str, Any] | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Data:
    """Open a dataset folder or a raw release.

    Args:
        path: See ``resolve``.
        revision: A branch, tag or commit of a repository.
        options: Options for opening a remote file system.
        token: A token of the Hub; it is sent to no other server.
        cache_dir: The cache in which the index of a raw release is stored.

    Raises:
        ReleaseNotFound: There is neither.
        OutOfReach: Offline mode is on or the server does not answer, and no cache has the data.
    """
    root = resolve(path, revision=revision, options=options)
    if token is not None and isinstance(root, RemotePath) and root.scheme == "hf":
        root = location_of(root.url, {**dict(root.options), "token": token})
    if isinstance(root, Path):
        return _open_local(root, cache_dir)
    try:
        if not is_repository(root):
            return _open_remote(root, cache_dir)
        found = pinned(root)
        if isinstance(found, Path):
            return _open_local(found, cache_dir, repository=root.url)
        return _open_remote(found, cache_dir)
    except BioscanError as error:
        away = isinstance(error, OutOfReach) or is_unreachable(error)
        kept = prepared_of(root, index_cache(cache_dir)) if away else None
        if kept is None:
            raise
        _log.warning("%s: out of reach; only what was prepared from it before can be loaded", root)
        return kept


def _open_local(
    root: Path, cache_dir: str | os.PathLike[str] | None, *, repository: str | None = None
) -> Data:
    if root.is_file():
        return _raw(find_release(root), cache_dir)
    folder = open_folder(root)
    if folder is None:
        names = [p.relative_to(root).as_posix() for p in root.glob("*/*") if p.is_file()]
        folder = folder_of(root, names)
    if folder is None:
        return _raw(find_release(root), cache_dir)
    return StoredData(folder, repository)


def _raw(release: Release, cache_dir: str | os.PathLike[str] | None) -> RawData:
    for note in release.unread:
        _log.warning("%s: %s", release.root, note)
    return RawData(release, index_cache(cache_dir))


def _open_remote(root: RemotePath, cache_dir: str | os.PathLike[str] | None) -> Data:
    folder = open_folder(root)
    if folder is not None:
        return StoredData(folder, root.asked)
    listed = list_files(root)
    if listed is not None:
        below = [path.relative_to(root) for path in listed]
        folder = folder_of(root, below)
        if folder is not None:
            return StoredData(folder, root.asked)
    return _raw(gather(root, listed or probe_release(root)), cache_dir)


def index_cache(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder for the indexes of raw releases, in the cache of ``datasets``."""
    from datasets import config

    return absolute(cache_dir or config.HF_DATASETS_CACHE) / "bioscan5m_index"
