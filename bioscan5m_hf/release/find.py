"""Find the archives, unpacked images and metadata of a release by their names in a folder.

Files are recognised by their names alone, so that finding a release is fast. Only metadata are
opened, to choose among several files or to list the members of the metadata zip.
"""

from __future__ import annotations

import filecmp
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import ArchiveError, MetadataError, ReleaseNotFound
from bioscan5m_hf.release.layout import (
    Archive,
    ImageFolder,
    MetadataFile,
    archive_at,
    image_folders,
    is_appledouble,
    is_bbox,
    is_metadata_zip,
    metadata_form,
    why_not_read,
)
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.configurations import package_names
from bioscan5m_hf.schema.upstream import METADATA_STEM
from bioscan5m_hf.storage.inside import is_folder
from bioscan5m_hf.storage.local import SourceStream
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import ReadAhead

DEPTH: Final = 8
"""How many levels of folders are searched for a release: unpacking a zip adds up to five."""

_MANIFEST: Final = "manifest.json"
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """The sources of one package for some splits.

    Attributes:
        package: The package.
        archives: The zips to read, in order of preference.
        folders: The unpacked folders to read, for splits that no zip covers.
        notes: Sentences about what was ignored and what seems to be missing.
    """

    package: str
    archives: tuple[Archive, ...]
    folders: tuple[ImageFolder, ...]
    notes: tuple[str, ...]

    @property
    def splits(self) -> frozenset[str]:
        """The splits whose images the sources can hold, by upstream's names."""
        held = [archive.splits for archive in self.archives]
        return frozenset().union(*held, (folder.split.name for folder in self.folders))


@dataclass(frozen=True, slots=True)
class Release:
    """Everything of a release that was found in a folder.

    Attributes:
        root: The folder.
        archives: Every zip of images.
        folders: Every unpacked folder of images.
        metadata: The metadata to read.
        bbox: The bounding boxes, if they were found.
        notes: Sentences about files that look like a part of a release but are not used.
        unread: Those of the notes that are about files whose names resemble upstream's.
    """

    root: Location
    archives: tuple[Archive, ...]
    folders: tuple[ImageFolder, ...]
    metadata: MetadataFile
    bbox: Location | None
    notes: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def packages(self) -> list[str]:
        """The packages whose images were found, in upstream's order."""
        found = {archive.package for archive in self.archives}
        found |= {folder.package for folder in self.folders}
        return [name for name in package_names() if name in found]

    def select(self, package: str, splits: Iterable[Split] = SPLITS) -> Selection:
        """Choose the sources of a package.

        Raises:
            ReleaseNotFound: The folder has no images of this package and these splits.
        """
        wanted = list(splits)
        names = {split.name for split in wanted}
        archives = sorted(
            (a for a in self.archives if a.package == package and a.splits & names),
            key=lambda archive: (archive.rank, str(archive.path)),
        )
        covered = frozenset[str]().union(*(archive.splits for archive in archives))
        loose = [f for f in self.folders if f.package == package and f.split in wanted]
        folders = [folder for folder in loose if folder.split.name not in covered]
        if not archives and not folders:
            raise ReleaseNotFound(
                f"there are no images of {package} for {', '.join(s.name for s in wanted)}",
                where=str(self.root),
                fix="; ".join(
                    (f"packages found: {', '.join(self.packages) or 'none'}", *self.unread[:_SHOWN])
                ),
            )
        notes = list(_side_by_side(package, archives))
        notes += _missing_parts(archives)
        if unread := [folder.split.name for folder in loose if folder not in folders]:
            notes.append(f"{package}: the zips are read, not the unpacked {', '.join(unread)}")
        return Selection(package, tuple(archives), tuple(folders), tuple(notes))


def _side_by_side(package: str, archives: list[Archive]) -> Iterator[str]:
    groups = sorted({archive.group for archive in archives if archive.group})
    if groups and any(archive.group is None for archive in archives):
        yield (
            f"{package}: images that are both in the full zip and in a group "
            f"({', '.join(groups)}) are read from the group"
        )


def _missing_parts(archives: list[Archive]) -> Iterator[str]:
    numbers: dict[str, set[int]] = {}
    for archive in archives:
        if archive.part is not None:
            series = re.sub(r"\.\d+\.zip$", "", archive.path.name)
            numbers.setdefault(series, set()).add(archive.part)
    for series, found in sorted(numbers.items()):
        if missing := sorted(set(range(1, max(found) + 1)) - found):
            parts = ", ".join(f"{number:02}" for number in missing)
            yield f"{series}: part {parts} is missing, but part {max(found):02} is there"


def find_release(root: str | Path) -> Release:
    """Search a folder for a release.

    Args:
        root: The folder that holds upstream's files; or an unpacked ``images`` folder, or a
            package or split in it, if the metadata lie beside the images; or one zip of images.

    Raises:
        ReleaseNotFound: There are neither archives nor unpacked images, or there is no metadata.
        MetadataError: There are several metadata files, and they differ.
        ArchiveError: The metadata zip cannot be read.
    """
    folder = Path(root)
    if folder.is_file():
        return _around(folder)
    if not folder.is_dir():
        raise ReleaseNotFound(
            "does not exist" if not os.path.lexists(folder) else "is neither a folder nor a file",
            where=str(folder),
            fix="give the folder that holds upstream's zips",
        )
    if (folder / _MANIFEST).is_file() and not any(archive_at(path) for path in folder.iterdir()):
        raise ReleaseNotFound(
            "is a converted dataset folder, not a release",
            where=str(folder),
            fix="load it as it is, or give the folder that holds upstream's zips",
        )
    paths = list(_walk(folder, DEPTH))
    inside = [path for path in paths if isinstance(path, ImageFolder)]
    if inside and not any(_holds_metadata(path) for path in paths):
        # The user gave the images folder of an unpacked tree; the metadata lie beside it.
        paths += _metadata_near(folder)
    return gather(folder, paths)


def _around(file: Path) -> Release:
    """The release that consists of one zip and the metadata near it."""
    archive = archive_at(file)
    if archive is None:
        raise ReleaseNotFound(
            "is a file whose name is not one of upstream's archives of images",
            where=str(file),
            fix="give the folder that holds upstream's zips",
        )
    others = [path for path in _walk(file.parent, 1) if _holds_metadata(path)]
    return replace(gather(file.parent, [file, *(others or _metadata_near(file.parent))]), root=file)


def _holds_metadata(path: Location | ImageFolder) -> bool:
    return not isinstance(path, ImageFolder) and (
        metadata_form(path.name) is not None or is_metadata_zip(path.name) or is_bbox(path.name)
    )


def _metadata_near(folder: Path) -> list[Location | ImageFolder]:
    """The metadata files in the nearest parent folder that has any, or in its ``metadata``."""
    for above in list(folder.absolute().parents)[:3]:
        found = [path for path in _walk(above, 1) if _holds_metadata(path)]
        if (below := above / "metadata").is_dir():
            found += [path for path in _walk(below, 2) if _holds_metadata(path)]
        if found:
            return found
    return []


def gather(root: Location, paths: Iterable[Location | ImageFolder]) -> Release:
    """Recognise archives, images and metadata among files by their names.

    Args:
        root: The folder, for messages.
        paths: The files in it, and its folders of unpacked images.

    Raises:
        ReleaseNotFound: There are neither archives nor unpacked images, or there is no metadata.
        MetadataError: There are several metadata files, and they differ.
        ArchiveError: The metadata zip cannot be read.
    """
    archives: list[Archive] = []
    folders: list[ImageFolder] = []
    metadata: list[MetadataFile] = []
    metadata_zips: list[Location] = []
    boxes: list[Location] = []
    unread: list[str] = []
    for path in paths:
        if isinstance(path, ImageFolder):
            folders.append(path)
        elif is_appledouble(str(path)):
            continue
        elif archive := archive_at(path):
            archives.append(archive)
        elif form := metadata_form(path.name):
            metadata.append(MetadataFile(path, form))
        elif is_metadata_zip(path.name):
            metadata_zips.append(path)
        elif is_bbox(path.name):
            boxes.append(path)
        elif note := why_not_read(path.name):
            unread.append(note)
    if not archives and not folders:
        raise ReleaseNotFound(
            f"no images of BIOSCAN-5M in this folder{_seen(unread)}",
            where=str(root),
            fix="expected zips such as BIOSCAN_5M_cropped_256_train.zip, "
            "or an unpacked bioscan5m/images",
        )
    notes = list(unread)
    chosen = _choose_metadata(root, metadata, metadata_zips, notes)
    return Release(
        root=root,
        archives=tuple(sorted(archives, key=lambda archive: str(archive.path))),
        folders=tuple(sorted(folders, key=lambda found: str(found.path))),
        metadata=chosen,
        bbox=min(boxes, key=lambda path: (len(path.parts), str(path)), default=None),
        notes=tuple(notes),
        unread=tuple(unread),
    )


def _walk(folder: Path, depth: int, top: Path | None = None) -> Iterator[Location | ImageFolder]:
    """List the files below a folder, and the folders of unpacked images, but not their files."""
    top = top or folder
    found = image_folders(folder, top)
    yield from found
    held = {path for image in found for path in (image.path, image.path.parent)}
    if any(image.path == folder for image in found):
        return
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ReleaseNotFound(f"cannot be listed ({error.strerror})", where=str(folder)) from error
    for entry in listed:
        path = folder / entry.name
        if entry.name.startswith(".") or is_appledouble(entry.name) or path in held:
            continue
        if not is_folder(entry):
            yield path
        elif depth > 1:
            yield from _walk(path, depth - 1, top)


def _choose_metadata(
    root: Location, loose: list[MetadataFile], zips: list[Location], notes: list[str]
) -> MetadataFile:
    """Prefer csv to JSON-LD, and a loose file to the zip; all of them have the same rows."""
    packed = [] if any(file.form == "csv" for file in loose) else _members_of(zips)
    for form in ("csv", "jsonld"):
        for candidates in (loose, packed):
            matching = [file for file in candidates if file.form == form]
            if matching:
                chosen = _only_one(matching)
                others = [file.label for file in [*loose, *packed] if file != chosen]
                others += [path.name for path in zips if not packed]
                if others:
                    notes.append(
                        f"the metadata are read from {chosen.label}, not from {', '.join(others)}"
                    )
                return chosen
    raise ReleaseNotFound(
        f"no metadata in this folder{_seen(notes)}",
        where=str(root),
        fix=f"put {METADATA_STEM}.csv or .jsonld, or the metadata zip, beside the images",
    )


def _seen(unread: list[str]) -> str:
    """Files that were found but not read, as the end of a sentence."""
    return f" ({'; '.join(unread[:_SHOWN])})" if unread else ""


def _only_one(candidates: list[MetadataFile]) -> MetadataFile:
    candidates = sorted(candidates, key=lambda file: (len(file.path.parts), str(file.path)))
    first, *others = candidates
    if other := next((o for o in others if not o.member and _differ(first.path, o.path)), None):
        raise MetadataError(
            f"two different metadata files: {first.path} and {other.path}",
            fix="keep the one that belongs to the images",
        )
    return first


def _differ(one: Location, other: Location) -> bool:
    """Whether the bytes of two files differ; for remote files only their lengths are compared."""
    if _size(one) != _size(other):
        return True
    if isinstance(one, Path) and isinstance(other, Path):
        return not filecmp.cmp(one, other, shallow=False)
    return False


def _size(path: Location) -> int:
    with open_location(path) as source:
        return source.size


def _members_of(zips: list[Location]) -> list[MetadataFile]:
    found: list[MetadataFile] = []
    for path in zips:
        try:
            with open_location(path) as source:
                reader = source if isinstance(path, Path) else ReadAhead(source)
                with zipfile.ZipFile(SourceStream(reader)) as archive:
                    names = archive.namelist()
        except (zipfile.BadZipFile, OSError) as error:
            raise ArchiveError(
                f"cannot be read as a zip ({error})", where=str(path), fix="download it again"
            ) from error
        for name in names:
            form = metadata_form(name.rpartition("/")[2])
            if form and not is_appledouble(name):
                found.append(MetadataFile(path, form, name))
    return found
