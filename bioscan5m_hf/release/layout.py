"""Recognise the files of a release by their names, and images by their paths.

The names are those of upstream's repositories, of its page on the Hub and of Zenodo record
11973457. Variants that users make are recognised too: a zip of a single folder, an unpacked folder,
a download that a browser renamed or did not finish.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.configurations import PACKAGES, PARTITIONS, package_named, package_names
from bioscan5m_hf.storage.path import Location

Form = Literal["csv", "jsonld"]

_STEMS: Final = sorted((stem for package in PACKAGES for stem in package.stems), key=len)[::-1]
_GROUPS: Final = "|".join(dict.fromkeys((*PARTITIONS, *(split.name for split in SPLITS))))
_UPSTREAM: Final = re.compile(
    rf"BIOSCAN(?:_5M)?_(?P<stem>{'|'.join(_STEMS)})"
    rf"(?:_(?P<group>{_GROUPS}))?(?:\.(?P<part>\d+))?\.zip",
    re.IGNORECASE,
)
# A zip of one folder, which holds a package or a split, has the name of the folder.
_OF_FOLDER: Final = re.compile(
    rf"(?P<stem>{'|'.join(package_names())})(?:_(?P<group>{_GROUPS}))?\.zip", re.IGNORECASE
)
_OF_SPLIT: Final = re.compile(rf"(?P<group>{_GROUPS})\.zip", re.IGNORECASE)
# Names that resemble those of the release, except files about them, such as digests and locks.
_NEARLY: Final = re.compile(
    r"(?!.*\.(?:md5|sha\d+|sig|asc|torrent|lock|log|md|html|metadata|zip\.json)$)"
    rf".*BIOSCAN.*(?:(?<=_)(?:{'|'.join(_STEMS)})(?![a-z0-9])|metadata|bbox|\.zip.).*",
    re.IGNORECASE,
)
_UNFINISHED: Final = re.compile(
    r"\.(?:(?:file)?part|partial|download|incomplete|tmp|crdownload|crswap|opdownload|aria2|!ut|!qb)$",
    re.IGNORECASE,
)
_PACKED: Final = re.compile(r"\.(?:gz|bz2|xz|zst|tar|tgz|7z|rar)$", re.IGNORECASE)
_KIND: Final = re.compile(r"zip|csv|jsonld|tsv", re.IGNORECASE)
_OTHER_TABLE: Final = re.compile(r"\.(?:tsv|json|parquet|feather|xlsx?|ods)$", re.IGNORECASE)
_SPLIT_ARCHIVE: Final = re.compile(r"\.(?:zip\.\d{3}|z\d{2})$", re.IGNORECASE)
_METADATA_FILE: Final = re.compile(r"BIOSCAN.*metadata.*\.(?P<form>csv|jsonld)", re.IGNORECASE)
_METADATA_ZIP: Final = re.compile(r"BIOSCAN.*metadata.*\.zip", re.IGNORECASE)
_BBOX: Final = re.compile(r"BIOSCAN.*bbox.*\.tsv", re.IGNORECASE)

_SPLIT_AND_CHUNK: Final = (
    rf"(?P<split>{'|'.join(split.name for split in SPLITS)})/(?:[0-9a-f]{{1,2}}/)?"
)
IMAGE_FOLDER: Final = rf"(?:(?:.*/)?(?P<package>{'|'.join(package_names())})/)?{_SPLIT_AND_CHUNK}"
"""Folders of images in an archive: below a package's folder, or a split's folder at the top."""

ENDINGS: Final = (".jpg", ".jpeg", ".JPG", ".JPEG")
"""The endings of names of images; upstream uses the first."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One zip of images.

    Attributes:
        path: The zip.
        package: The package that its name says.
        group: The partition or the split that it holds; ``None`` for all splits.
        part: Its number among the parts of a package; ``None`` if it is not one of several parts.
    """

    path: Location
    package: str
    group: str | None
    part: int | None

    @property
    def splits(self) -> frozenset[str]:
        """The splits whose images it can hold, by upstream's names."""
        return frozenset(
            split.name
            for split in SPLITS
            if self.group is None or self.group in (split.name, split.partition)
        )

    @property
    def rank(self) -> int:
        """If several archives hold an image, the lowest rank is read: a group before a full zip."""
        return 0 if self.group else 1


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """The unpacked images of one package and split.

    Attributes:
        path: The folder ``images/<package>/<split>``.
        package: The package.
        split: The split.
        top: The folder outside of which links in ``path`` may not lead.
    """

    path: Path
    package: str
    split: Split
    top: Path

    @property
    def rank(self) -> int:
        """Higher than that of any archive: folders are read only if no archive has the split."""
        return 2


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """The metadata, either a file or a member of the metadata zip.

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
        """Its name in messages."""
        return f"{self.path.name}!{self.member}" if self.member else self.path.name


def member_name(folder: str, processid: str, ending: int) -> str:
    """The name of an image in its archive or folder."""
    return f"{folder}{processid}{ENDINGS[ending]}"


def archive_at(path: Location) -> Archive | None:
    """Parse the name of a zip of images.

    Args:
        path: The zip. If its name is only that of a split or partition, the name of its folder
            says the package.

    Returns:
        The archive; ``None`` if the name is not one of a zip of images.
    """
    name = path.name
    match = _UPSTREAM.fullmatch(name) or _OF_FOLDER.fullmatch(name)
    if match:
        part = match.groupdict().get("part")
        group = match["group"]
        package = package_named(match["stem"].lower()).name
        return Archive(path, package, group.lower() if group else None, int(part) if part else None)
    match = _OF_SPLIT.fullmatch(name)
    if match and len(path.parts) > 1 and path.parts[-2] in package_names():
        return Archive(path, path.parts[-2], match["group"].lower(), None)
    return None


def why_not_read(name: str) -> str | None:
    """Explain why a file that looks like an archive of a release is not read.

    Returns:
        A sentence; ``None`` if the file does not look like a part of a release.
    """
    ours = bool(_NEARLY.fullmatch(name))
    found = {
        "its download did not finish; let it finish, or get it again": _UNFINISHED.search(name)
        and (ours or name.endswith(".crdownload")),
        "it is one piece of a zip that was cut; join the pieces first": _SPLIT_ARCHIVE.search(name),
        "it is packed in another way than upstream's; unpack it": ours and _PACKED.search(name),
        "metadata are a .csv or .jsonld, boxes a .tsv": ours
        and _OTHER_TABLE.search(name)
        and not is_bbox(name),
        "its name is nearly one of upstream's; rename it if it is whole": ours
        and _KIND.search(name),
        "its name is not one of upstream's": name.lower().endswith(".zip"),
    }
    return next((f"{name}: not read, {why}" for why, true in found.items() if true), None)


def metadata_form(name: str) -> Form | None:
    """The format of a metadata file, by its name; ``None`` for any other file."""
    match = _METADATA_FILE.fullmatch(name)
    if match is None:
        return None
    return "csv" if match["form"].lower() == "csv" else "jsonld"


def is_metadata_zip(name: str) -> bool:
    """Whether a file is the zip of the metadata, by its name."""
    return bool(_METADATA_ZIP.fullmatch(name))


def is_bbox(name: str) -> bool:
    """Whether a file holds the bounding boxes, by its name."""
    return bool(_BBOX.fullmatch(name))


def is_appledouble(name: str) -> bool:
    """Whether a file is an AppleDouble file, which macOS writes beside a file for its metadata."""
    return name.rpartition("/")[2].startswith("._") or "__MACOSX" in name.split("/")


def image_folders(folder: Path, top: Path) -> list[ImageFolder]:
    """Find folders of unpacked images directly below a folder.

    Args:
        folder: A folder that holds folders of packages, or is the folder of a package, or of a
            split below a package.
        top: The folder outside of which links may not lead.
    """
    packages = [folder / name for name in package_names() if (folder / name).is_dir()]
    if folder.name in package_names():
        packages.append(folder)
    found = [
        ImageFolder(package / split.name, package.name, split, top)
        for package in packages
        for split in SPLITS
        if (package / split.name).is_dir()
    ]
    if found or folder.parent.name not in package_names():
        return found
    return [
        ImageFolder(folder, folder.parent.name, split, top)
        for split in SPLITS
        if split.name == folder.name
    ]
