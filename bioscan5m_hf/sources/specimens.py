"""Read single specimens by their processids, from a dataset folder or a raw release."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.query.choice import PROCESSID, Choice
from bioscan5m_hf.readers.lookup import SplitLookup
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA, Configuration, configuration_named
from bioscan5m_hf.schema.order import keys_of
from bioscan5m_hf.sources.base import Data, StoredData
from bioscan5m_hf.sources.split_table import SPLIT_TABLE_NAME, likely_splits

_SHOWN = 20


def read_specimens(
    data: Data, configuration: Configuration, processids: Sequence[str], columns: Sequence[str]
) -> pa.Table:
    """Read the rows of some specimens.

    Rows of a dataset folder are sorted by md5(processid), so only a few blocks of a split are read.
    The split table says which split to search; without it all are searched, the largest first. For
    a raw release, the index in the cache is used.

    Returns:
        A row for each processid, in the given order.

    Raises:
        UnknownName: There are no such specimens; the message lists them.
        DataError: The data are damaged.
    """
    wanted = list(dict.fromkeys(processids))
    read = _from_shards if isinstance(data, StoredData) else _from_pieces
    tables = read(data, configuration, wanted, tuple(dict.fromkeys((PROCESSID, *columns))))
    found = [name for table in tables for name in table[PROCESSID].to_pylist()]
    if lost := [name for name in wanted if name not in set(found)]:
        shown = ", ".join(repr(name)[:80] for name in lost[:_SHOWN])
        more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
        raise UnknownName(
            f"{configuration.name} has no specimen with the processid {shown}{more}",
            where=str(data.root),
            fix="a processid is written as in the column of that name, such as GMGMB061-20",
        )
    at = {name: number for number, name in enumerate(found)}
    rows = pa.array([at[name] for name in processids], pa.int64())
    return pa.concat_tables(tables).take(rows).select(list(columns))


def _from_shards(
    data: Data, configuration: Configuration, wanted: Sequence[str], columns: Sequence[str]
) -> list[pa.Table]:
    assert isinstance(data, StoredData), "others have no shards"
    shards = {s: data.folder.shards_of(configuration, s) for s in data.splits(configuration)}

    def size(split: Split) -> tuple[int, int]:
        return sum(shard.rows or 0 for shard in shards[split]), len(shards[split])

    table = data.root / SPLIT_TABLE_NAME
    there = SPLIT_TABLE_NAME in data.folder.extras
    if isinstance(table, Path):
        # A snapshot of a repository may have only some of its files.
        there = there and table.is_file()
    likely = likely_splits(table, wanted) if there else {}
    order = sorted(shards, key=size, reverse=True)
    left = set(wanted)
    tables: list[pa.Table] = []
    for hinted, split in itertools.product((True, False), order):
        names = {name for name in left if (split in likely.get(name, ())) == hinted}
        if not names:
            continue
        paths = data.paths(configuration, split)
        known = all(shard.rows for shard in shards[split])
        rows = [shard.rows or 0 if known else 1 for shard in shards[split]]
        with SplitLookup(paths, rows) as lookup:
            places: dict[tuple[int, int], list[int]] = {}
            for name in sorted(names):
                if place := lookup.find(name):
                    places.setdefault((place.shard, place.block), []).append(place.row)
                    left.discard(name)
            for (shard, block), numbers in sorted(places.items()):
                chosen = np.array(sorted(numbers), np.int64)
                tables.append(lookup.blocks(shard).read(block, chosen, list(columns)))
    return tables


def _from_pieces(
    data: Data, configuration: Configuration, wanted: Sequence[str], columns: Sequence[str]
) -> list[pa.Table]:
    keys = np.sort(keys_of(wanted))
    plain = configuration_named(METADATA)
    tables: list[pa.Table] = []
    for split in data.splits(configuration):
        named = Choice((PROCESSID,), keep=keys)
        # Listing the images of a split takes long, so first see whether it has a specimen at all.
        if any(t.num_rows for piece in data.pieces(plain, split) for t in piece.read(named)):
            choice = Choice(tuple(columns), keep=keys)
            tables += [
                table for piece in data.pieces(configuration, split) for table in piece.read(choice)
            ]
    return tables
