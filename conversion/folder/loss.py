"""Refuse a run that would remove shards without making them again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import ChangedInput
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.sources.manifest import SHARD_PATH
from bioscan5m_hf.storage.inside import real_folders
from conversion.sizes import readable_size

_SHOWN: Final = 8

Pairs = Collection[tuple[str, str]]
"""Pairs of a configuration and one of its published splits."""


def shards_on_disk(folder: Path) -> dict[str, int]:
    """List the files in a dataset folder that are named like shards, with their lengths in bytes.

    Links are not followed.
    """
    found = [path for below in real_folders(folder) for path in sorted(below.iterdir())]
    return {
        name: path.lstat().st_size
        for path in found
        if SHARD_PATH.fullmatch(name := f"{path.parent.name}/{path.name}")
    }


def beyond(shards: Mapping[str, int], covered: Pairs) -> dict[str, int]:
    """The shards of configurations and splits that a run does not make, with their lengths."""
    return {
        path: size
        for path, size in shards.items()
        if (match := SHARD_PATH.fullmatch(path))
        and match["configuration"] != METADATA
        and (match["configuration"], match["split"]) not in covered
    }


def describe_shards(shards: Mapping[str, int]) -> str:
    """Describe shards in words: their number and size for each configuration and split."""
    sizes: defaultdict[str, list[int]] = defaultdict(list)
    for path, size in shards.items():
        sizes[path.rpartition("-of-")[0].rpartition("-")[0]].append(size)
    parts = [
        f"{name} ({len(held):,} {'shard' if len(held) == 1 else 'shards'}, "
        f"{readable_size(sum(held))})"
        for name, held in sizes.items()
    ]
    return ", ".join(parts[:_SHOWN]) + (", …" if len(parts) > _SHOWN else "")


def refuse_loss(shards: Mapping[str, int], covered: Pairs, folder: Path) -> None:
    """Refuse to restart a folder if that removes shards of splits that are not made again.

    Raises:
        ChangedInput: Shards would be lost.
    """
    if lost := beyond(shards, covered):
        raise ChangedInput(
            "--restart would remove shards that this command does not make again: "
            f"{describe_shards(lost)}",
            where=str(folder),
            fix="choose another --output, or name all of them with --package and --split",
        )
