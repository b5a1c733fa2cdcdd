"""List the shards of a dataset folder, by its manifest or by the names of its files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bioscan5m_hf.errors import DataError, MetadataError, ReleaseNotFound
from bioscan5m_hf.readers.formats import SUFFIXES
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA, Configuration
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME
from bioscan5m_hf.sources.manifest import (
    MANIFEST_BYTES,
    MANIFEST_NAME,
    SHARD_PATH,
    UNFINISHED,
    parse_manifest,
)
from bioscan5m_hf.storage.open import exists, read_whole
from bioscan5m_hf.storage.path import Location


@dataclass(frozen=True, slots=True)
class StoredShard:
    """One shard.

    Attributes:
        path: Its path in the folder.
        rows: How many specimens it has, if that is known.
        digest: The digest of its content; empty if that is not known.
    """

    path: str
    rows: int | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """The content of a dataset folder.

    Attributes:
        root: The location of the folder.
        format: The name of its format.
        shards: The shards in order, by package (or ``metadata``) and published split.
        extras: The paths of other files in the folder, from the manifest.
    """

    root: Location
    format: str
    shards: dict[str, dict[str, tuple[StoredShard, ...]]]
    extras: frozenset[str] = frozenset()

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that have shards.

        Raises:
            ReleaseNotFound: The configuration has no shards.
        """
        held = self.shards.get(configuration.package or METADATA, {})
        found = [split for split in configuration.splits if held.get(split.published)]
        if not found:
            raise ReleaseNotFound(
                f"this folder does not have {configuration.name}",
                where=str(self.root),
                fix=f"it has {', '.join(self.shards) or 'no shards'}",
            )
        return found

    def shards_of(self, configuration: Configuration, split: Split) -> tuple[StoredShard, ...]:
        """The shards of one split."""
        return self.shards[configuration.package or METADATA][split.published]

    @property
    def vocabularies(self) -> Location:
        """The file of the vocabularies, which may not exist."""
        return self.root / VOCABULARIES_NAME


def open_folder(root: Location) -> DatasetFolder | None:
    """Read the manifest of a dataset folder.

    Returns:
        The content of the folder; ``None`` if there is no manifest.

    Raises:
        MetadataError: The manifest is damaged.
    """
    path = root / MANIFEST_NAME
    if not exists(path):
        return None
    try:
        manifest = parse_manifest(read_whole(path, MANIFEST_BYTES))
        return DatasetFolder(
            root,
            manifest["format"],
            {
                name: {split: _shards(files) for split, files in splits.items()}
                for name, splits in manifest["configurations"].items()
            },
            frozenset(file["path"] for file in manifest["extras"]),
        )
    except ValueError as error:
        raise MetadataError(
            f"the manifest cannot be read ({error})",
            where=str(path),
            fix="download or make the folder again",
        ) from error


def _shards(files: dict[str, Any]) -> tuple[StoredShard, ...]:
    return tuple(
        StoredShard(shard["path"], shard["rows"], shard["xxh3"]) for shard in files["shards"]
    )


def folder_of(root: Location, paths: Iterable[str]) -> DatasetFolder | None:
    """Find the shards of a folder without a manifest by the names of its files.

    Returns:
        The content of the folder; ``None`` if no file has the name of a shard.

    Raises:
        DataError: It has shards of two formats, or shards of a split twice; shards are missing; or
            a conversion into it has not finished.
    """
    found: dict[tuple[str, str], dict[int, tuple[str, int]]] = {}
    suffixes: set[tuple[str, str]] = set()
    for path in sorted(paths):
        if match := SHARD_PATH.fullmatch(path):
            suffixes.add((match["configuration"], match["suffix"]))
            split = found.setdefault((match["configuration"], match["split"]), {})
            if int(match["index"]) in split:
                raise DataError(
                    "holds two different sets of shards of one split", where=f"{root}/{path}"
                )
            split[int(match["index"])] = (path, int(match["count"]))
    if not found:
        return None
    # Web servers do not list hidden files, so each is requested by its name.
    if any(exists(root / name) for name in UNFINISHED):
        raise DataError(
            "the conversion into this folder has not finished",
            where=str(root),
            fix="wait until it ends; if it was interrupted, run the same convert command again",
        )
    # The metadata configuration beside tar shards is Parquet.
    formats = {SUFFIXES[suffix].name for name, suffix in suffixes if name != METADATA}
    if len(formats) > 1:
        raise DataError(
            f"holds shards of several formats ({', '.join(sorted(formats))})", where=str(root)
        )
    shards: dict[str, dict[str, tuple[StoredShard, ...]]] = {}
    for (name, split_name), numbered in sorted(found.items()):
        counts = {count for _, count in numbered.values()}
        if len(counts) > 1 or len(numbered) != min(counts):
            raise DataError(
                f"only {len(numbered)} of {max(counts)} shards of {name}/{split_name} are there",
                where=str(root),
                fix="get the missing shards too",
            )
        shards.setdefault(name, {})[split_name] = tuple(
            StoredShard(numbered[index][0]) for index in sorted(numbered)
        )
    return DatasetFolder(root, formats.pop() if formats else "parquet", shards)
