"""Find a release: its archives, unpacked images and metadata, under any name they go by.

Only names are looked at here; nothing is opened but the directory of the metadata zip, and that
only where no loose metadata file was found. The names are those of upstream's repositories, of
its page on the Hub and of Zenodo record 11973457.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bioscan5m_hf.errors import ArchiveError, MetadataError, ReleaseNotFound
from bioscan5m_hf.remote import Location, ReadAhead, open_location
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.configurations import PACKAGES, PARTITIONS, package_named, package_names
from bioscan5m_hf.sources import SourceStream

Form = Literal["csv", "jsonld"]

METADATA_STEM: Final = "BIOSCAN_5M_Insect_Dataset_metadata"
BBOX_NAME: Final = "BIOSCAN_5M_Insect_bbox.tsv"
_DEPTH: Final = 4

_STEMS: Final = sorted((stem for package in PACKAGES for stem in package.stems), key=len)[::-1]
_ARCHIVE: Final = re.compile(
    rf"BIOSCAN(?:_5M)?_(?P<stem>{'|'.join(_STEMS)})"
    rf"(?:_(?P<partition>{'|'.join(PARTITIONS)}))?(?:\.(?P<part>\d+))?\.zip",
    re.IGNORECASE,
)
_METADATA_FILE: Final = re.compile(r"BIOSCAN.*metadata.*\.(?P<form>csv|jsonld)", re.IGNORECASE)
_METADATA_ZIP: Final = re.compile(r"BIOSCAN.*metadata.*\.zip", re.IGNORECASE)
_BBOX: Final = re.compile(r"BIOSCAN.*bbox.*\.tsv", re.IGNORECASE)

# Where an image lies in an archive, or below an unpacked tree.
IMAGE_FOLDER: Final = re.compile(
    rf"(?:.*/)?images/(?P<package>{'|'.join(package_names())})/"
    rf"(?P<split>{'|'.join(split.name for split in SPLITS)})/"
    r"(?:(?P<chunk>[0-9a-f]{1,2})/)?"
)
IMAGE_ENDING: Final = ".jpg"
IMAGE_PATH: Final = re.compile(
    rf"{IMAGE_FOLDER.pattern}(?P<processid>[^/]+){re.escape(IMAGE_ENDING)}"
)


@dataclass(frozen=True, slots=True)
class Archive:
    """One zip of images.

    Attributes:
        path: Where it is.
        package: The package that its name stands for.
        partition: The group of splits that it holds; ``None`` for all of them.
        part: Its number among the parts of a package; ``None`` where it is whole.
    """

    path: Location
    package: str
    partition: str | None
    part: int | None

    @property
    def rank(self) -> int:
        """Which archive is taken where several hold an image: the lower one, a group first."""
        return 0 if self.partition else 1


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The unpacked images of one package and split.

    Attributes:
        path: The folder ``images/<package>/<split>``.
        package: The package.
        split: The split.
    """

    path: Path
    package: str
    split: Split

    @property
    def rank(self) -> int:
        """Taken only where no archive covers the split."""
        return 2


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """The metadata, as a file or as a member of the metadata zip.

    Attributes:
        path: The file, or the zip that holds it.
        form: ``csv`` or ``jsonld``.
        member: Its name in the zip; ``None`` for a file.
    """

    path: Location
    form: Form
    member: str | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.path.name}!{self.member}" if self.member else self.path.name


@dataclass(frozen=True, slots=True)
class Selection:
    """The sources of one package for some splits.

    Attributes:
        package: The package.
        archives: The zips to read, those to be preferred first.
        folders: The unpacked folders to read, for splits that no zip covers.
        notes: What was passed over, and what seems to be missing, as sentences.
    """

    package: str
    archives: tuple[Archive, ...]
    folders: tuple[ImageFolder, ...]
    notes: tuple[str, ...]

    @property
    def splits(self) -> frozenset[str]:
        """The splits that the sources can hold images of, under upstream's names."""
        partitions = {archive.partition for archive in self.archives}
        return frozenset(
            split.name for split in SPLITS if split.partition in partitions or None in partitions
        ) | frozenset(folder.split.name for folder in self.folders)


@dataclass(frozen=True, slots=True)
class Release:
    """Everything of a release that was found in a folder.

    Attributes:
        root: The folder.
        archives: Every zip of images.
        folders: Every unpacked folder of images.
        metadata: The metadata to read.
        bbox: The bounding boxes, if they are there.
        notes: Files that look like a part of a release but are not used, as sentences.
    """

    root: Location
    archives: tuple[Archive, ...]
    folders: tuple[ImageFolder, ...]
    metadata: MetadataFile
    bbox: Location | None
    notes: tuple[str, ...]

    @property
    def packages(self) -> list[str]:
        """The packages that there are images of, in upstream's order."""
        found = {archive.package for archive in self.archives}
        found |= {folder.package for folder in self.folders}
        return [name for name in package_names() if name in found]

    def select(self, package: str, splits: Iterable[Split] = SPLITS) -> Selection:
        """Choose the sources of a package.

        Args:
            package: The package's name.
            splits: The splits that are wanted.

        Raises:
            ReleaseNotFound: There is nothing of this package, or of these splits, in the folder.
        """
        wanted = list(splits)
        partitions = {split.partition for split in wanted}
        archives = sorted(
            (
                archive
                for archive in self.archives
                if archive.package == package
                and (archive.partition is None or archive.partition in partitions)
            ),
            key=lambda archive: (archive.rank, str(archive.path)),
        )
        covered = {archive.partition for archive in archives}
        loose = [f for f in self.folders if f.package == package and f.split in wanted]
        folders = [f for f in loose if None not in covered and f.split.partition not in covered]
        if not archives and not folders:
            raise ReleaseNotFound(
                f"there are no images of {package} for {', '.join(s.name for s in wanted)}",
                where=str(self.root),
                fix=f"packages found: {', '.join(self.packages) or 'none'}",
            )
        notes = list(_side_by_side(package, archives))
        notes += _missing_parts(archives)
        if passed_over := [folder.split.name for folder in loose if folder not in folders]:
            notes.append(f"{package}: the zips are read, not the unpacked {', '.join(passed_over)}")
        return Selection(package, tuple(archives), tuple(folders), tuple(notes))


def _side_by_side(package: str, archives: list[Archive]) -> Iterator[str]:
    groups = sorted({archive.partition for archive in archives if archive.partition})
    if groups and any(archive.partition is None for archive in archives):
        yield (
            f"{package}: images that stand both in the full zip and in a group "
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
            yield f"{series}: part {parts} is not there, but part {max(found):02} is"


def find_release(root: str | Path) -> Release:
    """Look through a folder for a release.

    Args:
        root: The folder; archives and metadata may lie up to four folders deep.

    Raises:
        ReleaseNotFound: There are neither archives nor unpacked images, or there is no metadata.
        MetadataError: There are several metadata files that cannot all be the same.
        ArchiveError: The metadata zip cannot be read.
    """
    folder = Path(root)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ReleaseNotFound(
            what, where=str(folder), fix="give the folder that holds upstream's zips"
        )
    return gather(folder, _walk(folder, _DEPTH))


def gather(root: Location, paths: Iterable[Location]) -> Release:
    """Tell archives, images and metadata from other files by their names.

    Args:
        root: The folder, for messages.
        paths: The files in it, and its folders named ``images``.

    Raises:
        ReleaseNotFound: There are neither archives nor unpacked images, or there is no metadata.
        MetadataError: There are several metadata files that cannot all be the same.
        ArchiveError: The metadata zip cannot be read.
    """
    archives: list[Archive] = []
    folders: list[ImageFolder] = []
    metadata: list[MetadataFile] = []
    metadata_zips: list[Location] = []
    boxes: list[Location] = []
    notes: list[str] = []
    for path in paths:
        name = path.name
        if isinstance(path, Path) and path.is_dir():
            folders += _image_folders(path)
        elif match := _ARCHIVE.fullmatch(name):
            archives.append(_archive(path, match))
        elif match := _METADATA_FILE.fullmatch(name):
            form: Form = "csv" if match["form"].lower() == "csv" else "jsonld"
            metadata.append(MetadataFile(path, form))
        elif _METADATA_ZIP.fullmatch(name):
            metadata_zips.append(path)
        elif _BBOX.fullmatch(name):
            boxes.append(path)
        elif name.lower().endswith(".zip"):
            notes.append(f"{name}: not used, its name is not one of upstream's")
    if not archives and not folders:
        raise ReleaseNotFound(
            "no images of BIOSCAN-5M in this folder",
            where=str(root),
            fix="expected zips such as BIOSCAN_5M_cropped_256_train.zip, "
            "or an unpacked bioscan5m/images",
        )
    chosen = _choose_metadata(root, metadata, metadata_zips, notes)
    return Release(
        root=root,
        archives=tuple(sorted(archives, key=lambda archive: str(archive.path))),
        folders=tuple(sorted(folders, key=lambda found: str(found.path))),
        metadata=chosen,
        bbox=min(boxes, key=lambda path: (len(path.parts), str(path)), default=None),
        notes=tuple(notes),
    )


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """The files below a folder and the folders named ``images``, which are not entered."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ReleaseNotFound(f"cannot be listed ({error.strerror})", where=str(folder)) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir() or entry.name == "images":
            yield entry
        elif depth > 1:
            yield from _walk(entry, depth - 1)


def _archive(path: Location, match: re.Match[str]) -> Archive:
    partition, part = match["partition"], match["part"]
    return Archive(
        path,
        package_named(match["stem"].lower()).name,
        partition.lower() if partition else None,
        int(part) if part else None,
    )


def _image_folders(images: Path) -> Iterator[ImageFolder]:
    for package in package_names():
        for split in SPLITS:
            if (path := images / package / split.name).is_dir():
                yield ImageFolder(path, package, split)


def _choose_metadata(
    root: Location, loose: list[MetadataFile], zips: list[Location], notes: list[str]
) -> MetadataFile:
    """Prefer csv to JSON-LD, and a loose file to the zip; all of them hold the same rows."""
    packed = [] if any(file.form == "csv" for file in loose) else _members_of(zips)
    for form in ("csv", "jsonld"):
        for candidates in (loose, packed):
            matching = [file for file in candidates if file.form == form]
            if matching:
                chosen = _only_one(matching)
                others = [file.label for file in [*loose, *packed] if file != chosen]
                others += [path.name for path in zips if not packed]
                if others:
                    notes.append(f"{chosen.label}: read for the metadata, not {', '.join(others)}")
                return chosen
    raise ReleaseNotFound(
        "no metadata in this folder",
        where=str(root),
        fix=f"put {METADATA_STEM}.csv or .jsonld, or the metadata zip, beside the images",
    )


def _only_one(candidates: list[MetadataFile]) -> MetadataFile:
    candidates = sorted(candidates, key=lambda file: (len(file.path.parts), str(file.path)))
    if candidates[0].member is None and len({_size(file.path) for file in candidates}) > 1:
        raise MetadataError(
            f"two different metadata files: {candidates[0].path} and {candidates[1].path}",
            fix="keep the one that belongs to the images",
        )
    return candidates[0]


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
            if match := _METADATA_FILE.fullmatch(name.rpartition("/")[2]):
                form: Form = "csv" if match["form"].lower() == "csv" else "jsonld"
                found.append(MetadataFile(path, form, name))
    return found
