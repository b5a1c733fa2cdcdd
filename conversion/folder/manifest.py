"""Read and write ``manifest.json``: the files of a dataset folder, their sources and digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from bioscan5m_hf.errors import ForeignFolder
from bioscan5m_hf.release.layout import archive_at, image_folders
from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import METADATA, in_order
from bioscan5m_hf.sources.manifest import (
    FORMAT_VERSION,
    MANIFEST_BYTES,
    MANIFEST_NAME,
    parse_manifest,
)
from bioscan5m_hf.storage.inside import read_small
from conversion.catalogue.selection import SpecimenSelection
from conversion.derive.recipe import Recipe
from conversion.formats.samples import SampleExtras

DEFAULT_NAME: Final = "bioscan-5m"


@dataclass(frozen=True, slots=True)
class ShardFile:
    """One shard of a dataset folder.

    Attributes:
        path: Its path in the folder.
        rows: How many specimens it has.
        bytes: Its length.
        xxh3: Its digest (XXH3, 128 bits), in hex.
    """

    path: str
    rows: int
    bytes: int
    xxh3: str


@dataclass(frozen=True, slots=True)
class SplitFiles:
    """The shards of one split of a configuration.

    Attributes:
        rows: How many specimens they have together.
        image_bytes: The total size of their images, without the overhead of the format.
        rejected: How many specimens of the split were left out.
        shard_bytes: The limit for the size of a shard.
        shards: The shards, in order.
    """

    rows: int
    image_bytes: int
    rejected: int
    shard_bytes: int
    shards: tuple[ShardFile, ...]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The sources of a split of a configuration; the shards do not depend on this record.

    Attributes:
        files: The names of the archives, folders or metadata file.
        digest: A digest of the input: the metadata, and the size and CRC of each image.
    """

    files: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class DerivedRecord:
    """The derivation of a package, whose images are not upstream's own bytes.

    Attributes:
        recipe: The source package, and how its images were changed.
        libraries: The versions of the libraries that made its images. A library has several
            versions if the splits were made at different times.
    """

    recipe: Recipe
    libraries: dict[str, tuple[str, ...]]

    def with_libraries(self, found: dict[str, str]) -> DerivedRecord:
        """Return the record after another run with these versions."""
        joined = dict(self.libraries)
        for name, version in found.items():
            joined[name] = tuple(dict.fromkeys((*joined.get(name, ()), version)))
        return DerivedRecord(self.recipe, joined)


@dataclass(slots=True)
class Manifest:
    """The content of ``manifest.json``.

    Attributes:
        format: The format of the shards.
        version: The version of this program that wrote them.
        libraries: The versions of the libraries that decide the bytes of a shard.
        splits: For each configuration and published split, its shards.
        extras: The other files of the folder, such as the card, by path.
        rejects: How many specimens and images were left out, for each reason.
        sources: For each configuration and published split, its sources.
        name: The dataset's name in examples: the repository it was published to, ``user/name``.
        derived: How each derived package was made from another package.
        selection: Which specimens of the release the folder holds.
        samples: The additional members of the samples of each package that has some.
    """

    format: str
    version: str
    libraries: dict[str, str] = field(default_factory=dict)
    splits: dict[str, dict[str, SplitFiles]] = field(default_factory=dict)
    extras: dict[str, ShardFile] = field(default_factory=dict)
    rejects: dict[str, int] = field(default_factory=dict)
    sources: dict[str, dict[str, SourceRecord]] = field(default_factory=dict)
    name: str = DEFAULT_NAME
    derived: dict[str, DerivedRecord] = field(default_factory=dict)
    selection: SpecimenSelection = field(default_factory=SpecimenSelection)
    samples: dict[str, SampleExtras] = field(default_factory=dict)

    @property
    def packages(self) -> list[str]:
        """The packages that were converted, in upstream's order."""
        return in_order(self.splits)

    def files(self) -> Iterator[ShardFile]:
        """Every shard, in order."""
        for configuration in (*self.packages, METADATA):
            for split in SPLITS:
                found = self.splits.get(configuration, {}).get(split.published)
                yield from found.shards if found else ()

    def to_json(self) -> bytes:
        """The text of the file: the same content gives the same bytes."""
        data = {
            "format_version": FORMAT_VERSION,
            "version": self.version,
            "format": self.format,
            "name": self.name,
            "libraries": dict(sorted(self.libraries.items())),
            "configurations": {
                name: {
                    split.published: _plain(self.splits[name][split.published])
                    for split in SPLITS
                    if split.published in self.splits[name]
                }
                for name in (*self.packages, METADATA)
                if name in self.splits
            },
            "extras": [_plain(self.extras[path]) for path in sorted(self.extras)],
            "rejects": dict(sorted(self.rejects.items())),
            "source": {
                name: {split: _plain(record) for split, record in sorted(splits.items())}
                for name, splits in sorted(self.sources.items())
            },
        }
        if derived := {name: self.derived[name] for name in self.packages if name in self.derived}:
            data["derived"] = {
                name: {"recipe": record.recipe.to_json(), "libraries": record.libraries}
                for name, record in derived.items()
            }
        if self.selection:
            data["selection"] = self.selection.to_json()
        if self.samples:
            data["samples"] = {name: each.to_json() for name, each in sorted(self.samples.items())}
        # A digest of the rest, so that a change anywhere in this file is noticed too.
        data["digest"] = hashlib.sha256(_text(data)).hexdigest()
        return _text(data)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read a manifest.

        Raises:
            ValueError: The text is not a manifest, or has another format version.
        """
        data = parse_manifest(text)
        return cls(
            format=data["format"],
            name=data["name"],
            version=data["version"],
            libraries=data["libraries"],
            splits={
                name: {split: _split_files(value) for split, value in splits.items()}
                for name, splits in data["configurations"].items()
            },
            extras={value["path"]: ShardFile(**value) for value in data["extras"]},
            rejects=data["rejects"],
            sources={
                name: {
                    split: SourceRecord(tuple(value["files"]), value["digest"])
                    for split, value in splits.items()
                }
                for name, splits in data["source"].items()
            },
            derived={
                name: DerivedRecord(
                    Recipe.from_json(value["recipe"]),
                    {library: tuple(names) for library, names in value["libraries"].items()},
                )
                for name, value in data.get("derived", {}).items()
            },
            selection=SpecimenSelection.from_json(data.get("selection", {})),
            samples={
                name: SampleExtras.from_json(value)
                for name, value in data.get("samples", {}).items()
            },
        )


def _text(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _plain(value: SplitFiles | ShardFile | SourceRecord) -> dict[str, Any]:
    plain = {name: getattr(value, name) for name in value.__slots__}
    if isinstance(value, SplitFiles):
        plain["shards"] = [_plain(shard) for shard in value.shards]
    return plain


def _split_files(value: dict[str, Any]) -> SplitFiles:
    shards = tuple(ShardFile(**shard) for shard in value["shards"])
    return SplitFiles(
        value["rows"], value["image_bytes"], value["rejected"], value["shard_bytes"], shards
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a dataset folder.

    Raises:
        ForeignFolder: There is none, or it cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        return Manifest.from_json(read_small(path, MANIFEST_BYTES))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ForeignFolder(
            _without_manifest(folder),
            where=str(folder),
            fix="make one with: bioscan5m convert RELEASE --output FOLDER",
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ForeignFolder(
            f"the manifest cannot be read ({reason})",
            where=str(path),
            fix="get the folder again, or make it again: bioscan5m convert --restart",
        ) from error


def _without_manifest(folder: Path) -> str:
    """Describe a path that is not a finished dataset folder."""
    if folder.is_file():
        return "is a file, not a dataset folder"
    if not folder.is_dir():
        return "does not exist"
    entries = list(folder.iterdir())
    if any(archive_at(path) for path in entries) or image_folders(folder, folder):
        return "is a release, not a dataset folder: it has no manifest"
    return "is not a finished dataset folder: it has no manifest"
