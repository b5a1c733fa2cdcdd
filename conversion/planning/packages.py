"""Divide the images of one package into shard tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from bioscan5m_hf.release.image_index import source_labels, source_paths
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.sources.manifest import FORMAT_VERSION
from bioscan5m_hf.storage.ranges import DEFAULT_HOLD
from conversion.catalogue.members import MemberList
from conversion.catalogue.rows import SortedRows
from conversion.catalogue.selection import EVERY
from conversion.derive.recipe import Recipe, versions
from conversion.formats.registry import writer_named
from conversion.formats.samples import PLAIN, SAMPLE_BYTES, SampleExtras
from conversion.planning.shards import Shard, plan_shards
from conversion.planning.tasks import ShardTask


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options that the tasks of all packages have in common.

    Attributes:
        output: The dataset folder.
        work: The folder for temporary files that the tasks read.
        format: The name of the format.
        shard_bytes: The size that a shard should have at most.
        record: Whether flawed images are recorded instead of being errors.
        hold: How many bytes of remote archives a task may hold at a time.
        selection: The selection of specimens, in words.
        min_shards: How many shards a split has at least, if it has as many specimens.
        extras: The additional members of a sample, if the format has samples.
        vocabularies: The file with the numbers of labels, if the format has samples.
    """

    output: Path
    work: Path
    format: str
    shard_bytes: int
    record: bool
    hold: int = DEFAULT_HOLD
    selection: str = EVERY
    min_shards: int = 1
    extras: SampleExtras = PLAIN
    vocabularies: str | None = None


@dataclass(frozen=True, slots=True)
class PackagePlan:
    """The plan for converting one package.

    Attributes:
        members: The locations of its images, and the mismatches with the metadata.
        tasks: The shards to make.
        inputs: For each published split, a digest of its input.
    """

    members: MemberList
    tasks: tuple[ShardTask, ...]
    inputs: dict[str, str]

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.members.package


def specimen_bytes(form: str, extras: SampleExtras) -> int:
    """The bytes that a specimen takes in a shard in addition to its image, as planning assumes.

    Args:
        form: The name of the format.
        extras: The additional members of a sample.
    """
    return writer_named(form).row_bytes + extras.members * SAMPLE_BYTES


def plan_package(members: MemberList, rows: SortedRows, options: PlanOptions) -> PackagePlan:
    """Divide a package into shard tasks.

    Args:
        members: The locations of its images.
        rows: Upstream's columns of all specimens.
        options: The options that all tasks have in common.
    """
    selection = members.selection
    splits = [count.split for count in members.counts]
    sizes = [members.planned[members.splits == SPLITS.index(split)] for split in splits]
    writer = writer_named(options.format)
    row_bytes = specimen_bytes(options.format, options.extras)
    shards = plan_shards(
        members.package,
        [
            (split.published, of_split + row_bytes)
            for split, of_split in zip(splits, sizes, strict=True)
        ],
        options.shard_bytes,
        options.min_shards,
    )
    described = options.extras.description if writer.samples else ""
    digests = _input_digests(members, shards, rows.content + described)
    tasks = [
        ShardTask(
            shard=shard,
            folder=str(options.output),
            format=options.format,
            members=str(members.path),
            rows=rows.path,
            sources=tuple(source_paths(selection)),
            labels=tuple(source_labels(selection)),
            record=options.record,
            made_from=_made_from(digest, options, members.recipe),
            recipe=members.recipe,
            hold=options.hold,
            extras=options.extras,
            vocabularies=options.vocabularies,
        )
        for shard, digest in zip(shards, digests, strict=True)
    ]
    return PackagePlan(members, tuple(tasks), _by_split(splits, shards, digests))


def libraries() -> dict[str, str]:
    """The libraries, with versions, that decide the bytes of a shard."""
    # Without importlib.metadata: importing it takes longer than planning, and shards wait for that.
    return {"pyarrow": pa.__version__}


def _made_from(
    digest: str, options: PlanOptions, recipe: Recipe | None
) -> tuple[tuple[str, str], ...]:
    deciding = libraries() | (versions() if recipe else {})
    return (
        *((("the recipe", recipe.description),) if recipe else ()),
        ("input", digest),
        ("the selection", options.selection),
        ("the format", options.format),
        ("the format version", str(FORMAT_VERSION)),
        ("the samples", options.extras.description),
        ("the shard size", f"{options.shard_bytes:,} bytes"),
        ("the least number of shards", str(options.min_shards)),
        *((f"the version of {name}", found) for name, found in deciding.items()),
    )


def _by_split(
    splits: Sequence[Split], shards: Sequence[Shard], digests: Sequence[str]
) -> dict[str, str]:
    joined = {split.published: hashlib.sha256() for split in splits}
    for shard, digest in zip(shards, digests, strict=True):
        joined[shard.split].update(digest.encode())
    return {split: digest.hexdigest() for split, digest in joined.items()}


def _input_digests(members: MemberList, shards: Sequence[Shard], metadata: str) -> list[str]:
    """Return a digest of each shard's input: the metadata, and the size and CRC of each image.

    If images are derived from another package, the recipe and the boxes are included.
    """
    recipe = members.recipe
    seed = metadata + (repr(recipe.to_json()) if recipe else "")
    digests: list[str] = []
    for shard in shards:
        digest = hashlib.sha256(seed.encode())
        for values in members.deciding:
            digest.update(values[shard.start : shard.stop].data)
        digests.append(digest.hexdigest())
    return digests
