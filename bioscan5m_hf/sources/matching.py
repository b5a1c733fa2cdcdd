"""Find the shards that hold a row that is wanted, by the metadata that lie beside them.

Over a network the columns that decide are read from the ``metadata`` configuration, where thousands
of rows lie together; a shard without a wanted row is not opened at all, nor a row group of Parquet.
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

# Of more rows the first one would have to be waited for. Other formats than Parquet are read whole
# over a network, so it pays always.
_MOST_ROWS: Final = 500_000
# A split of one shard has few row groups, and they are asked as quickly as the metadata are.
_FEW_ROWS: Final = 5_000
# More rows of a shard would be in nearly every row group.
_SPARSE: Final = 1_000


def matching_pieces(
    data: Data,
    configuration: Configuration,
    split: Split,
    condition: Filter | None,
    on_error: str = "stop",
) -> list[Piece]:
    """The pieces of a split that may hold a row that is wanted.

    Returns:
        All pieces where the metadata are not there, are no cheaper to read, or are of other rows.
    """
    pieces = data.pieces(configuration, split, on_error)
    if condition is None or not isinstance(data, StoredData):
        return pieces
    if configuration.package is None or not isinstance(data.root, RemotePath):
        return pieces
    shards = _counts(data.folder.shards_of(configuration, split))
    beside = _counts(data.folder.shards.get(METADATA, {}).get(split.published, ()))
    count = sum(shards)
    # Both lie in the order of md5(processid): of equally many, each has the place of the other.
    if not count or count != sum(beside) or 0 in shards:
        return pieces
    few = len(shards) == 1 and count < _FEW_ROWS
    if data.folder.format == "parquet" and (few or count > _MOST_ROWS):
        return pieces
    ends = np.cumsum(shards)
    numbers = np.concatenate([np.empty(0, np.int64), *_numbers(data, split, condition)])
    return [_sparse(pieces[shard], rows) for shard, rows in by_block(np.append(0, ends), numbers)]


def _sparse(piece: Piece, rows: Numbers) -> Piece:
    """The piece, which is told its rows where they are few."""
    if isinstance(piece, ShardReader) and len(rows) <= _SPARSE:
        return replace(piece, rows=tuple(rows.tolist()))
    return piece


def _counts(shards: Sequence[StoredShard]) -> list[int]:
    """How many rows each shard has; 0 where that is not known."""
    return [shard.rows or 0 for shard in shards]


def _numbers(data: StoredData, split: Split, condition: Filter) -> Iterator[Numbers]:
    """The numbers of the rows of a split that are wanted."""
    choice = Choice(condition.columns)
    first = 0
    for piece in data.pieces(configuration_named(METADATA), split):
        for table in piece.read(choice):
            yield first + condition.rows(table)
            first += table.num_rows
