"""Write the front matter of the card, which declares a folder's configurations to ``datasets``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import yaml

from bioscan5m_hf.schema import upstream
from bioscan5m_hf.schema.configurations import (
    DEFAULT_PACKAGE,
    METADATA,
    Configuration,
    configurations,
    in_order,
    package_names,
)
from bioscan5m_hf.storage.identity import digest_of
from conversion.folder.manifest import Manifest, SplitFiles
from conversion.formats.registry import metadata_writer, writer_named

TAGS: Final = (
    "biology",
    "biodiversity",
    "insects",
    "taxonomy",
    "dna-barcode",
    "image",
    "geospatial",
)

_SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


class _PlainDumper(yaml.SafeDumper):
    """Writes repeated values in full, because not every reader of cards resolves references."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def files_url(manifest: Manifest) -> str:
    """The location of the dataset's files in examples: a folder or a repository."""
    return f"hf://datasets/{manifest.name}" if "/" in manifest.name else manifest.name


def available(manifest: Manifest) -> list[tuple[Configuration, dict[str, SplitFiles]]]:
    """The configurations that a folder can serve, with the files of each split.

    Returns:
        Each configuration that has at least one specimen, and its published splits in order.
    """
    found: list[tuple[Configuration, dict[str, SplitFiles]]] = []
    for configuration in configurations(manifest.packages):
        if configuration.package is None and not serves_metadata(manifest):
            continue
        held = manifest.splits.get(configuration.package or METADATA, {})
        splits = {
            split.published: held[split.published]
            for split in configuration.splits
            if split.published in held and held[split.published].rows
        }
        if splits:
            found.append((configuration, splits))
    return found


def serves_metadata(manifest: Manifest) -> bool:
    """Whether the metadata can be a configuration.

    ``datasets`` reads all configurations of a folder with one module, so Parquet files beside tar
    shards cannot be a configuration. A folder without images has nothing else to serve.
    """
    return metadata_writer(manifest.format) is writer_named(manifest.format)


def front_matter(manifest: Manifest) -> dict[str, Any]:
    """Return the content of the card's YAML block, where ``datasets`` finds the configurations.

    Sizes of splits are never declared, because then ``datasets`` would report a filtered split as
    damaged.
    """
    listed = available(manifest)
    default = default_configuration(manifest)
    counts = (sum(files.rows for files in splits.values()) for _, splits in listed)
    specimens = max(counts, default=0)
    return {
        "pretty_name": upstream.NAME,
        "license": upstream.LICENCE,
        "language": ["en"],
        "annotations_creators": ["expert-generated", "machine-generated"],
        "source_datasets": [upstream.REPOSITORY],
        "task_categories": ["image-classification", "zero-shot-image-classification"],
        "task_ids": ["multi-class-image-classification"],
        "tags": list(TAGS),
        "size_categories": [next((name for top, name in _SIZES if specimens < top), "10M<n<100M")],
        "configs": [
            {
                "config_name": configuration.name,
                **({"default": True} if configuration.name == default else {}),
                "description": f"content {_content(splits)}",
                "data_files": [
                    {"split": split, "path": pattern(files)} for split, files in splits.items()
                ],
            }
            for configuration, splits in listed
        ],
        **_declared_features(manifest),
    }


def _content(splits: Mapping[str, SplitFiles]) -> str:
    """A digest of the shards of a configuration.

    ``datasets`` caches prepared rows under a hash of the card's configurations. Without this
    digest, another folder whose files have the same names would get the rows of this folder.
    """
    parts = [f"{shard.path} {shard.xxh3}" for files in splits.values() for shard in files.shards]
    return digest_of(*parts)


def _declared_features(manifest: Manifest) -> dict[str, Any]:
    """The features, if the files themselves do not contain them."""
    features = writer_named(manifest.format).declared_features()
    if not features:
        return {}
    return {
        "dataset_info": [
            {"config_name": configuration.name, "features": features}
            for configuration, _ in available(manifest)
        ]
    }


def default_configuration(manifest: Manifest) -> str:
    """The configuration that is loaded if none is named."""
    return shown_package(manifest.packages) or METADATA


def shown_package(packages: Collection[str]) -> str | None:
    """The package to show if only one can be shown."""
    if DEFAULT_PACKAGE in packages:
        return DEFAULT_PACKAGE
    listed = in_order(packages)
    upstreams = [name for name in listed if name in package_names()]
    return next(reversed(upstreams or listed), None)


def pattern(files: SplitFiles) -> str:
    """Return a pattern for the shards of a split.

    It matches only one division into shards, because an interrupted conversion may have left shards
    of another division.
    """
    stem, _, rest = files.shards[0].path.rpartition("-00000-of-")
    return f"{stem}-*-of-{rest}"


def shown_split(manifest: Manifest) -> tuple[str, str] | None:
    """The configuration and the split that examples use.

    Returns:
        Their names; ``None`` for a folder that serves nothing.
    """
    name = default_configuration(manifest)
    splits = next((splits for found, splits in available(manifest) if found.name == name), None)
    if not splits:
        return None
    return name, "train" if "train" in splits else next(iter(splits))


def front_matter_text(manifest: Manifest) -> str:
    """The front matter as YAML, between its two lines of dashes."""
    text = yaml.dump(
        front_matter(manifest),
        Dumper=_PlainDumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    return f"---\n{text}---\n"
