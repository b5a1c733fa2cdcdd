"""Cut the images of one package into shard tasks."""

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
    """What the tasks of every package have in common.

    Attributes:
        output: The dataset folder.
        work: A folder for what the tasks read and nobody needs afterwards.
        format: The name of the format.
        shard_bytes: The size that a shard should have at most.
        record: Whether flawed images are recorded instead of being errors.
        hold: How many bytes of remote archives a task may hold at a time.
        selection: Which specimens of the release these are, in words.
        min_shards: How many shards a split has at least, if it has as many specimens.
        extras: What a sample has beside image and record, in a format of samples.
        vocabularies: The file that tells the numbers of labels, for such a format.
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
    """How one package is going to be converted.

    Attributes:
        members: Where its images lie, and what does not fit.
        tasks: The shards to make.
        inputs: For each published split, a digest of what goes in.
    """

    members: MemberList
    tasks: tuple[ShardTask, ...]
    inputs: dict[str, str]

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.members.package


def specimen_bytes(form: str, extras: SampleExtras) -> int:
    """What a specimen takes in a shard beside its image, by which shards are cut.

    Args:
        form: The name of the format.
        extras: What samples have beside upstream's columns.
    """
    return writer_named(form).row_bytes + extras.members * SAMPLE_BYTES


def plan_package(members: MemberList, rows: SortedRows, options: PlanOptions) -> PackagePlan:
    """Cut a package into shard tasks.

    Args:
        members: Where its images lie.
        rows: Upstream's columns of all specimens.
        options: What the tasks have in common.
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
    told = options.extras.told if writer.samples else ""
    digests = _input_digests(members, shards, rows.content + told)
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
    """The libraries whose version decides the bytes of a shard."""
    # Not by importlib.metadata, whose import takes longer than to plan: shards wait for this.
    return {"pyarrow": pa.__version__}


def _made_from(
    digest: str, options: PlanOptions, recipe: Recipe | None
) -> tuple[tuple[str, str], ...]:
    deciding = libraries() | (versions() if recipe else {})
    return (
        *((("the recipe", recipe.told),) if recipe else ()),
        ("input", digest),
        ("the selection", options.selection),
        ("the format", options.format),
        ("the format version", str(FORMAT_VERSION)),
        ("the samples", options.extras.told),
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
    """A digest for each shard of its rows, of size and CRC of each image, and of the metadata.

    Where images are made from others, of the recipe and of the boxes too.
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
