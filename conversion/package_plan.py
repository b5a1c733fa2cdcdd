"""Plan one package: reconcile its images with the metadata, and cut them into shard tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.manifest import FORMAT_VERSION
from bioscan5m_hf.release.find import Release, Selection
from bioscan5m_hf.release.image_index import Stray, source_labels, source_paths
from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.storage.windows import DEFAULT_HOLD
from conversion.catalogue import Catalogue, SplitCount
from conversion.derive.bbox import COORDINATES, PLANNED, VARIANTS, prepare_members
from conversion.derive.recipe import Recipe, versions
from conversion.formats.registry import writer_named
from conversion.plan import Shard, plan_shards
from conversion.reconcile import Reconciliation, reconcile
from conversion.shards.build import ShardTask
from conversion.sorted_rows import SortedRows


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
    """

    output: Path
    work: Path
    format: str
    shard_bytes: int
    record: bool
    hold: int = DEFAULT_HOLD


@dataclass(frozen=True, slots=True)
class MemberList:
    """Where the images of one package lie.

    Attributes:
        selection: Its sources.
        counts: For each split that is wanted, its specimens and how many have an image.
        reconciliation: What does not fit.
        path: The Parquet file with a row for each image, in the order of the specimens.
        recipe: How the package is made from its sources; ``None`` where images pass through.
    """

    selection: Selection
    counts: tuple[SplitCount, ...]
    reconciliation: Reconciliation
    path: Path
    recipe: Recipe | None = None

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.recipe.package if self.recipe else self.selection.package


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


@dataclass(frozen=True, slots=True)
class Choice:
    """What a package is made of.

    Attributes:
        selection: Its sources.
        splits: The splits to convert.
        recipe: How it is made from its sources; ``None`` where images pass through.
        bbox: Upstream's bounding boxes, if they are there.
    """

    selection: Selection
    splits: tuple[Split, ...]
    recipe: Recipe | None = None
    bbox: Path | None = None

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.recipe.package if self.recipe else self.selection.package

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of it, as sentences."""
        told = (f"{self.recipe.package}: {self.recipe.told}",) if self.recipe else ()
        return (*self.selection.notes, *told)


def select(
    release: Release, package: str, wanted: Sequence[Split], recipe: Recipe | None = None
) -> Choice:
    """Choose the sources of a package, and the splits to convert.

    Args:
        release: The release.
        package: The package.
        wanted: The splits that were asked for; none for all that there are sources of.
        recipe: How it is made from another, if it is.

    Raises:
        ReleaseNotFound: There is no source for one of the splits that were asked for.
    """
    source = recipe.source if recipe else package
    for split in wanted:
        release.select(source, [split])
    selection = release.select(source, wanted or SPLITS)
    chosen = wanted or [split for split in SPLITS if split.name in selection.splits]
    splits = tuple(split for split in SPLITS if split in chosen)
    bbox = release.bbox if isinstance(release.bbox, Path) else None
    return Choice(selection, splits, recipe, bbox)


def list_members(
    catalogue: Catalogue,
    choice: Choice,
    work: Path,
    *,
    record: bool,
    strays: Sequence[Stray] | None = None,
) -> MemberList:
    """Join the images of a package with the metadata, and write where they lie.

    Args:
        catalogue: With the metadata loaded and placed.
        choice: What the package is made of.
        work: The folder to write to.
        record: Whether what does not fit is recorded instead of being an error.
        strays: See ``reconcile``.

    Raises:
        ArchiveError: An archive cannot be read.
        MetadataError: The bounding boxes cannot be read.
        MismatchError: Bounding boxes are missing, and that is not recorded.
    """
    selection, recipe = choice.selection, choice.recipe
    reconciliation = reconcile(catalogue, selection, choice.splits, strays)
    path = work / f"members-{choice.package}.parquet"
    catalogue.write_members(path)
    if recipe:
        prepare_members(path, recipe, choice.bbox, threads=catalogue.threads, record=record)
    counts = tuple(catalogue.count_splits(choice.splits))
    return MemberList(selection, counts, reconciliation, path, recipe)


def plan_package(members: MemberList, rows: SortedRows, options: PlanOptions) -> PackagePlan:
    """Cut a package into shard tasks.

    Args:
        members: Where its images lie.
        rows: Upstream's columns of all specimens.
        options: What the tasks have in common.
    """
    selection = members.selection
    splits = [count.split for count in members.counts]
    sizes = _planned_sizes(members, splits)
    row_bytes = writer_named(options.format).row_bytes
    shards = plan_shards(
        members.package,
        [
            (split.published, of_split + row_bytes)
            for split, of_split in zip(splits, sizes, strict=True)
        ],
        options.shard_bytes,
    )
    digests = _input_digests(members, shards, rows.content)
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
        )
        for shard, digest in zip(shards, digests, strict=True)
    ]
    return PackagePlan(members, tuple(tasks), _by_split(splits, shards, digests))


def _planned_sizes(members: MemberList, splits: Sequence[Split]) -> list[npt.NDArray[np.int64]]:
    """The plain size in bytes of each image, known or expected, for each split."""
    column = PLANNED if members.recipe else "size"
    # Not by read_table: it imports the whole of pyarrow.dataset first, and shards wait for this.
    with pq.ParquetFile(members.path) as file:
        table = file.read(["split_number", column])
    numbers = table["split_number"].to_numpy()
    # A size that no image can have is judged when the image is read; here it must not count.
    sizes = np.minimum(table[column].to_numpy(), MAX_IMAGE_BYTES).astype(np.int64)
    return [sizes[numbers == SPLITS.index(split)] for split in splits]


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
        ("the format", options.format),
        ("the format version", str(FORMAT_VERSION)),
        ("the shard size", f"{options.shard_bytes:,} bytes"),
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
    digests: list[str] = []
    recipe = members.recipe
    seed = metadata + (repr(recipe.to_json()) if recipe else "")
    boxes = (*COORDINATES, VARIANTS) if recipe and recipe.crop else ()
    with pq.ParquetFile(members.path) as file:
        batches = file.iter_batches(columns=["position", "size", "crc", *boxes])
        held: list[pa.RecordBatch] = []
        for shard in shards:
            while sum(batch.num_rows for batch in held) < shard.rows:
                held.append(next(batches))
            table = pa.Table.from_batches(held)
            digest = hashlib.sha256(seed.encode())
            for column in table.slice(0, shard.rows).columns:
                digest.update(np.ascontiguousarray(column.fill_null(0).to_numpy()).data)
            digests.append(digest.hexdigest())
            held = table.slice(shard.rows).to_batches()
    return digests
