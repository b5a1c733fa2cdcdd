"""Dividing specimens into shards: none is lost, none is there twice, whatever the sizes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.planning.shards import cut, plan_shards

sizes_lists = st.lists(st.integers(0, 2000) | st.sampled_from([0, 1, 10**6, 64 << 20]), max_size=80)
limits = st.integers(1, 5000) | st.sampled_from([500_000_000, 2**62])


@settings(max_examples=300)
@given(sizes=sizes_lists, limit=limits)
def test_cuts_grow_and_pieces_keep_near_the_limit(sizes: list[int], limit: int) -> None:
    edges = cut(np.asarray(sizes, np.int64), limit)
    assert edges[0] == 0
    assert edges[-1] == len(sizes)
    assert all(earlier < later for earlier, later in itertools.pairwise(edges))
    pieces = [sum(sizes[start:stop]) for start, stop in itertools.pairwise(edges)]
    fewest = max(1, -(-sum(sizes) // limit)) if sizes else 0
    assert len(pieces) == min(fewest, len(sizes))
    # All pieces are about as large as their mean, so none goes beyond it by more than an item.
    if fewest <= len(sizes) and all(size <= limit for size in sizes):
        assert all(piece <= limit + max(sizes) for piece in pieces)


@settings(max_examples=200)
@given(
    splits=st.lists(sizes_lists, max_size=8),
    limit=limits,
)
def test_every_specimen_is_in_exactly_one_shard(splits: list[list[int]], limit: int) -> None:
    named = [(f"s{n}", np.asarray(sizes, np.int64)) for n, sizes in enumerate(splits)]
    shards = plan_shards("cropped_256", named, limit)
    assert [row for shard in shards for row in range(shard.start, shard.stop)] == [
        *range(sum(map(len, splits)))
    ]
    assert all(shard.rows > 0 for shard in shards)
    first = 0
    for name, sizes in named:
        mine = [shard for shard in shards if shard.split == name]
        assert sum(shard.rows for shard in mine) == len(sizes)
        assert [shard.index for shard in mine] == [*range(len(mine))]
        assert all(shard.count == len(mine) for shard in mine)
        if mine:
            assert (mine[0].start, mine[-1].stop) == (first, first + len(sizes))
        first += len(sizes)
    assert len({shard.name(".parquet") for shard in shards}) == len(shards)


@pytest.mark.parametrize("limit", [999, 1000, 1001])
def test_sizes_at_the_limit(limit: int) -> None:
    assert len(cut(np.full(10, 1000), limit)) - 1 == 10
    assert len(cut(np.full(10, 100), limit)) - 1 == (2 if limit < 1000 else 1)


def test_one_specimen_larger_than_all_others() -> None:
    for place in (0, 5, 9):
        sizes = np.full(10, 10)
        sizes[place] = 10_000
        edges = cut(sizes, 1000)
        assert len(edges) - 1 == 10


def test_a_release_of_five_million() -> None:
    sizes = np.full(5_150_850, 7500)
    edges = cut(sizes, 500_000_000)
    rows = np.diff(edges)
    assert len(rows) == 78
    assert rows.max() - rows.min() <= 1
