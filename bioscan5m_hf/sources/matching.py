"""Find the shards with matching rows by reading the ``metadata`` configuration first.

Over a network, the predicate's columns are read from the ``metadata`` configuration, where
thousands of rows lie together. Then shards without a matching row are not opened at all, and row
groups of Parquet without one are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bioscan5m_hf.query.choice import Choice, Numbers
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.readers.base import Piece, ShardReader, by_block
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA, Configuration, configuration_named
from bioscan5m_hf.sources.base import Data, StoredData
from bioscan5m_hf.sources.dataset_folder import StoredShard
from bioscan5m_hf.storage.path import RemotePath

# With more rows, reading the metadata would delay the first row too much. This limit is for Parquet
# only: other formats are read whole over a network, so reading the metadata first always pays.
_MOST_ROWS: Final = 500_000
# A split of one shard has few row groups, which are read as quickly as the metadata.
_FEW_ROWS: Final = 5_000
# More rows than this would be in nearly every row group of a shard.
_SPARSE: Final = 1_000


def matching_pieces(
    data: Data,
    configuration: Configuration,
    split: Split,
    condition: Filter | None,
    on_error: str = "stop",
) -> list[Piece]:
    """The pieces of a split that may hold a matching row.

    Returns:
        The pieces; all of them if there are no metadata, if these are not cheaper to read, or if
        they have other rows.
    """
    pieces = data.pieces(configuration, split, on_error)
    if condition is None or not isinstance(data, StoredData):
        return pieces
    if configuration.package is None or not isinstance(data.root, RemotePath):
        return pieces
    shards = _counts(data.folder.shards_of(configuration, split))
    beside = _counts(data.folder.shards.get(METADATA, {}).get(split.published, ()))
    count = sum(shards)
    # Both are sorted by md5(processid), so with equal counts the positions of rows are equal.
    if not count or count != sum(beside) or 0 in shards:
        return pieces
    few = len(shards) == 1 and count < _FEW_ROWS
    if data.folder.format == "parquet" and (few or count > _MOST_ROWS):
        return pieces
    ends = np.cumsum(shards)
    numbers = np.concatenate([np.empty(0, np.int64), *_numbers(data, split, condition)])
    return [_sparse(pieces[shard], rows) for shard, rows in by_block(np.append(0, ends), numbers)]


def _sparse(piece: Piece, rows: Numbers) -> Piece:
    """The piece, limited to the given rows if these are few."""
    if isinstance(piece, ShardReader) and len(rows) <= _SPARSE:
        return replace(piece, rows=tuple(rows.tolist()))
    return piece


def _counts(shards: Sequence[StoredShard]) -> list[int]:
    """How many rows each shard has; 0 if that is not known."""
    return [shard.rows or 0 for shard in shards]


def _numbers(data: StoredData, split: Split, condition: Filter) -> Iterator[Numbers]:
    """The numbers of the matching rows of a split."""
    choice = Choice(condition.columns)
    first = 0
    for piece in data.pieces(configuration_named(METADATA), split):
        for table in piece.read(choice):
            yield first + condition.rows(table)
            first += table.num_rows
