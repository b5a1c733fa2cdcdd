"""Write the metadata configuration: upstream's columns of all specimens, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from bioscan5m_hf.schema import Split, arrow_schema
from bioscan5m_hf.variants import METADATA
from bioscan5m_hf.vocabulary import Vocabulary, VocabularyCounter
from conversion.canonical import canonical
from conversion.files import Written
from conversion.plan import Shard, plan_shards
from conversion.tables import StoredTable
from conversion.writers.base import ShardWriter

BLOCK_ROWS: Final = 8_000


@dataclass(frozen=True, slots=True)
class MetadataShard:
    """One file of the metadata configuration.

    Attributes:
        shard: Which of them.
        written: Length and digest.
        path: Where it lies.
    """

    shard: Shard
    written: Written
    path: Path

    @property
    def table(self) -> StoredTable:
        """For reading its rows back by position."""
        return StoredTable(str(self.path), self.shard.start, self.shard.rows)


@dataclass(frozen=True, slots=True)
class StoredMetadata:
    """The metadata configuration.

    Attributes:
        shards: Its files, in order.
        content: A digest of every value in every row, whatever the format and its version.
        shard_bytes: The size that a shard was to have at most.
        vocabularies: The distinct values of each rank.
    """

    shards: tuple[MetadataShard, ...]
    content: str
    shard_bytes: int
    vocabularies: tuple[Vocabulary, ...]


def write_metadata(
    rows: Iterator[pa.RecordBatch],
    counts: Sequence[tuple[Split, int]],
    folder: Path,
    writer: type[ShardWriter],
    limit: int,
) -> StoredMetadata:
    """Write the shards of the metadata configuration.

    Args:
        rows: Upstream's columns of every specimen, splits in upstream's order.
        counts: How many specimens each split has.
        folder: Where the configuration's folder is made.
        writer: The format.
        limit: The size in bytes that a shard should have at most.

    Raises:
        OutputError: A file cannot be written.
    """
    sizes = [(split.published, np.full(count, writer.row_bytes)) for split, count in counts]
    stream = _Stream(rows)
    digest = hashlib.sha256()
    counter = VocabularyCounter()
    written: list[MetadataShard] = []
    for shard in plan_shards(METADATA, sizes, limit):
        path = folder / shard.name(writer.suffix)
        with writer(path, image=False) as file:
            left = shard.rows
            while left:
                block = stream.take(min(left, BLOCK_ROWS))
                left -= block.num_rows
                digest.update(_content(block))
                counter.add(block)
                file.write(block)
            written.append(MetadataShard(shard, file.commit(), path))
    vocabularies = tuple(counter.vocabularies())
    return StoredMetadata(tuple(written), digest.hexdigest(), limit, vocabularies)


def _content(block: pa.RecordBatch) -> bytes:
    """A digest of the values of a block, which does not depend on how Arrow lays them out."""
    digest = hashlib.sha256()
    for column in block.columns:
        for buffer in canonical(column).buffers():
            digest.update(b"" if buffer is None else memoryview(buffer))
    return digest.digest()


class _Stream:
    """Cuts a stream of batches into blocks of a wanted length."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def take(self, count: int) -> pa.RecordBatch:
        while self._rows < count:
            batch = next(self._batches)
            self._held.append(batch)
            self._rows += batch.num_rows
        table = pa.Table.from_batches(self._held)
        rest = table.slice(count)
        self._held = rest.to_batches()
        self._rows = rest.num_rows
        block = table.slice(0, count).cast(arrow_schema(image=False))
        return block.combine_chunks().to_batches()[0]
