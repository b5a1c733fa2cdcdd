"""Find a release at a URL, from a listing if the server has one, or else by trying known names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from bioscan5m_hf.errors import ReleaseNotFound
from bioscan5m_hf.release.find import DEPTH, Release, find_release, gather
from bioscan5m_hf.schema.configurations import PACKAGES, PARTITIONS
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_STEM, METADATA_ZIP, PREFIXES
from bioscan5m_hf.storage.fsspec import file_system, with_retries
from bioscan5m_hf.storage.hub import is_repository, pinned
from bioscan5m_hf.storage.inside import require_inside
from bioscan5m_hf.storage.open import exists
from bioscan5m_hf.storage.path import Location, RemotePath

_QUESTIONS: Final = 8
_MOST_PARTS: Final = 99


def locate_release(root: Location) -> Release:
    """Search a local or remote folder for a release.

    Args:
        root: The folder; at most ``DEPTH`` levels of folders are searched.

    Raises:
        ReleaseNotFound: There are no images, or there is no metadata.
        MetadataError: There are several metadata files, and they differ.
        ArchiveError: The metadata zip cannot be read, or the server cannot be reached.
    """
    if not isinstance(root, RemotePath):
        return find_release(root)
    found = pinned(root) if is_repository(root) else root
    if not isinstance(found, RemotePath):
        return find_release(found)
    return gather(found, list_files(found) or probe_release(found))


def list_files(root: RemotePath) -> list[RemotePath] | None:
    """List the files below a URL.

    Returns:
        The files, sorted; ``None`` if the server lists nothing.

    Raises:
        ReleaseNotFound: There is no such folder, or the listing has paths that leave it.
    """
    if root.is_http:
        # Imported late: it takes long to import, and most releases are local.
        from bioscan5m_hf.storage.http_listing import linked_files

        return sorted(linked_files(root, DEPTH), key=str) or None

    def ask() -> list[str]:
        system, folder = file_system(root)
        names = system.find(folder, maxdepth=DEPTH)
        return [str(name).removeprefix(folder).lstrip("/") for name in names]

    below = with_retries(root, "cannot be listed", ReleaseNotFound, ask)
    for name in below:
        try:
            require_inside(name, hidden=True)
        except ValueError as error:
            raise ReleaseNotFound(
                f"the store lists something that is not a file: {error}", where=str(root)
            ) from error
    if not below:
        raise ReleaseNotFound("is empty or does not exist", where=str(root))
    return [root / name for name in sorted(below)]


def probe_release(root: RemotePath) -> list[RemotePath]:
    """Find the files of a server without listings by requesting every name that upstream uses."""
    names = [
        *_archive_names(),
        f"{METADATA_STEM}.csv",
        f"{METADATA_STEM}.jsonld",
        METADATA_ZIP,
        f"{METADATA_STEM}.zip",
        BBOX_NAME,
    ]
    # There are some forty names, and each request takes a round trip.
    with ThreadPoolExecutor(_QUESTIONS, thread_name_prefix="bioscan5m-probe") as asking:
        singles = asking.map(lambda name: _present([root / name]), names)
        parts = asking.map(lambda stem: _present(_numbered(root, stem)), _part_stems())
        return [path for found in (*singles, *parts) for path in found]


def _present(paths: Iterable[RemotePath]) -> list[RemotePath]:
    """The paths before the first that does not exist."""
    return list(itertools.takewhile(exists, paths))


def _numbered(root: RemotePath, stem: str) -> Iterator[RemotePath]:
    for part in range(1, _MOST_PARTS + 1):
        yield root / f"{stem}.{part:02}.zip"


def _stems() -> Iterator[str]:
    stems = [stem for package in PACKAGES for stem in package.stems]
    for prefix, stem in itertools.product(PREFIXES, stems):
        yield f"{prefix}{stem}"


def _archive_names() -> Iterator[str]:
    for stem in _stems():
        yield f"{stem}.zip"
        if stem.endswith("_256"):
            for partition in PARTITIONS:
                yield f"{stem}_{partition}.zip"


def _part_stems() -> Iterator[str]:
    for stem in _stems():
        yield f"{stem}_{PARTITIONS[0]}" if stem.endswith("_256") else stem
