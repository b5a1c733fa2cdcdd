"""Write the metadata configuration: upstream's columns of all specimens, in order."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.schema.vocabularies import Vocabulary
from conversion.card.statistics import Profile, ProfileCounter
from conversion.catalogue.rows import BLOCK_ROWS, RowReader, SortedRows
from conversion.files.atomic import Written
from conversion.formats.base import ShardWriter
from conversion.planning.shards import Shard, plan_shards


@dataclass(frozen=True, slots=True)
class MetadataShard:
    """One file of the metadata configuration.

    Attributes:
        shard: The shard.
        written: Length and digest of the file.
        path: The path of the file.
    """

    shard: Shard
    written: Written
    path: Path


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """The metadata configuration.

    Attributes:
        shards: Its files, in order.
        content: A digest of every value in every row, independent of format and version.
        shard_bytes: The limit for the size of a shard.
        vocabularies: The distinct values of each rank.
        profile: A summary of the specimens, for the card.
    """

    shards: tuple[MetadataShard, ...]
    content: str
    shard_bytes: int
    vocabularies: tuple[Vocabulary, ...]
    profile: Profile


@dataclass(frozen=True, slots=True)
class MetadataPlan:
    """The plan of the metadata configuration.

    Attributes:
        rows: Upstream's columns of every specimen, splits in upstream's order.
        counts: How many specimens each split has.
        folder: The parent of the configuration's folder.
        writer: The writer of the format.
        limit: The size in bytes that a shard should have at most.
    """

    rows: SortedRows
    counts: tuple[tuple[Split, int], ...]
    folder: Path
    writer: type[ShardWriter]
    limit: int

    def shards(self) -> Sequence[Shard]:
        """Its shards, in order."""
        sizes = [
            (split.published, np.full(count, self.writer.row_bytes)) for split, count in self.counts
        ]
        return plan_shards(METADATA, sizes, self.limit)


def write_metadata(plan: MetadataPlan, stopped: threading.Event | None = None) -> StoredMetadata:
    """Write the shards of the metadata configuration.

    Args:
        plan: What to write.
        stopped: Can be set in another thread to cancel the work.

    Raises:
        OutputError: A file cannot be written.
        CancelledError: ``stopped`` was set.
    """
    counter = ProfileCounter()
    written: list[MetadataShard] = []
    for shard in plan.shards():
        path = plan.folder / shard.name(plan.writer.form.suffix)
        rows = RowReader(plan.rows.path, np.arange(shard.start, shard.stop))
        with plan.writer(path, image=False) as file:
            for start in range(shard.start, shard.stop, BLOCK_ROWS):
                if stopped and stopped.is_set():
                    raise CancelledError
                block = rows.take(min(BLOCK_ROWS, shard.stop - start))
                counter.add(block)
                file.write(block)
            written.append(MetadataShard(shard, file.commit(), path))
    vocabularies = tuple(counter.vocabularies())
    return StoredMetadata(
        tuple(written), plan.rows.content, plan.limit, vocabularies, counter.profile(vocabularies)
    )
