"""Plan one package: reconcile its images with the metadata, and cut them into shard tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.images import MAX_IMAGE_BYTES
from bioscan5m_hf.members import source_labels, source_paths
from bioscan5m_hf.release import Release, Selection
from bioscan5m_hf.schema import SPLITS, Split
from conversion.catalogue import Catalogue, SplitCount
from conversion.manifest import FORMAT_VERSION
from conversion.plan import Shard, plan_shards
from conversion.reconcile import Reconciliation, reconcile
from conversion.shard import ShardTask
from conversion.stored_metadata import StoredMetadata
from conversion.writers import writer_named


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the tasks of every package have in common.

    Attributes:
        output: The dataset folder.
        work: A folder for what the tasks read and nobody needs afterwards.
        format: The name of the format.
        shard_bytes: The size that a shard should have at most.
        record: Whether flawed images are recorded instead of being errors.
    """

    output: Path
    work: Path
    format: str
    shard_bytes: int
    record: bool


@dataclass(frozen=True, slots=True)
class MemberList:
    """Where the images of one package lie.

    Attributes:
        selection: Its sources.
        counts: For each split that is wanted, its specimens and how many have an image.
        reconciliation: What does not fit.
        path: The Parquet file with a row for each image, in the order of the specimens.
    """

    selection: Selection
    counts: tuple[SplitCount, ...]
    reconciliation: Reconciliation
    path: Path


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
        return self.members.selection.package


def select(
    release: Release, package: str, wanted: Sequence[Split]
) -> tuple[Selection, tuple[Split, ...]]:
    """Choose the sources of a package, and the splits to convert.

    Args:
        release: The release.
        package: The package.
        wanted: The splits that were asked for; none for all that there are sources of.

    Raises:
        ReleaseNotFound: There is no source for one of the splits that were asked for.
    """
    for split in wanted:
        release.select(package, [split])
    selection = release.select(package, wanted or SPLITS)
    chosen = wanted or [split for split in SPLITS if split.name in selection.splits]
    return selection, tuple(split for split in SPLITS if split in chosen)


def list_members(
    catalogue: Catalogue, selection: Selection, splits: Sequence[Split], work: Path
) -> MemberList:
    """Join the images of a package with the metadata, and write where they lie.

    Args:
        catalogue: With the metadata loaded and placed.
        selection: The sources of the package.
        splits: The splits that are wanted.
        work: The folder to write to.

    Raises:
        ArchiveError: An archive cannot be read.
    """
    reconciliation = reconcile(catalogue, selection, splits)
    path = work / f"members-{selection.package}.parquet"
    catalogue.write_members(path)
    return MemberList(selection, tuple(catalogue.count_splits(splits)), reconciliation, path)


def plan_package(
    members: MemberList, metadata: StoredMetadata, options: PlanOptions
) -> PackagePlan:
    """Cut a package into shard tasks.

    Args:
        members: Where its images lie.
        metadata: The metadata configuration.
        options: What the tasks have in common.
    """
    selection = members.selection
    splits = [count.split for count in members.counts]
    sizes = _planned_sizes(members.path, splits)
    row_bytes = writer_named(options.format).row_bytes
    shards = plan_shards(
        selection.package,
        [
            (split.published, of_split + row_bytes)
            for split, of_split in zip(splits, sizes, strict=True)
        ],
        options.shard_bytes,
    )
    digests = _input_digests(members.path, shards, metadata.content)
    tasks = [
        ShardTask(
            shard=shard,
            folder=str(options.output),
            format=options.format,
            members=str(members.path),
            metadata=tuple(stored.table for stored in metadata.shards),
            sources=tuple(source_paths(selection)),
            labels=tuple(source_labels(selection)),
            record=options.record,
            made_from=_made_from(digest, options),
        )
        for shard, digest in zip(shards, digests, strict=True)
    ]
    return PackagePlan(members, tuple(tasks), _by_split(splits, shards, digests))


def _planned_sizes(path: Path, splits: Sequence[Split]) -> list[npt.NDArray[np.int64]]:
    """The plain size in bytes of each image, for each split."""
    table = pq.read_table(path, columns=["split_number", "size"])
    numbers = table["split_number"].to_numpy()
    # A size that no image can have is judged when the image is read; here it must not count.
    sizes = np.minimum(table["size"].to_numpy(), MAX_IMAGE_BYTES).astype(np.int64)
    return [sizes[numbers == SPLITS.index(split)] for split in splits]


def libraries() -> dict[str, str]:
    """The libraries whose version decides the bytes of a shard."""
    return {name: version(name) for name in ("pyarrow",)}


def _made_from(digest: str, options: PlanOptions) -> tuple[tuple[str, str], ...]:
    return (
        ("input", digest),
        ("the format", options.format),
        ("the format version", str(FORMAT_VERSION)),
        ("the shard size", f"{options.shard_bytes:,} bytes"),
        *((f"the version of {name}", found) for name, found in libraries().items()),
    )


def _by_split(
    splits: Sequence[Split], shards: Sequence[Shard], digests: Sequence[str]
) -> dict[str, str]:
    joined = {split.published: hashlib.sha256() for split in splits}
    for shard, digest in zip(shards, digests, strict=True):
        joined[shard.split].update(digest.encode())
    return {split: digest.hexdigest() for split, digest in joined.items()}


def _input_digests(members: Path, shards: Sequence[Shard], metadata: str) -> list[str]:
    """A digest for each shard of its rows, of size and CRC of each image, and of the metadata."""
    digests: list[str] = []
    with pq.ParquetFile(members) as file:
        batches = file.iter_batches(columns=["position", "size", "crc"])
        held: list[pa.RecordBatch] = []
        for shard in shards:
            while sum(batch.num_rows for batch in held) < shard.rows:
                held.append(next(batches))
            table = pa.Table.from_batches(held)
            digest = hashlib.sha256(metadata.encode())
            for column in table.slice(0, shard.rows).columns:
                digest.update(np.ascontiguousarray(column.fill_null(0).to_numpy()).data)
            digests.append(digest.hexdigest())
            held = table.slice(shard.rows).to_batches()
    return digests
