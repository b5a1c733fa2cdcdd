"""What the system is told before it is read."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES, MEMBER_SLACK
from bioscan5m_hf.storage.local import LocalFile
from bioscan5m_hf.storage.ranges import Limits, plan_window
from conversion.shards import prefetch
from conversion.shards.prefetch import AHEAD, reads_of, with_prefetch

SCHEMA = pa.schema(
    [
        ("source", pa.int32()),
        ("folder", pa.string()),
        ("offset", pa.uint64()),
        ("compressed", pa.uint64()),
        ("size", pa.uint64()),
    ]
)


def members(places: list[tuple[int | None, int]], source: int = 0) -> pa.Table:
    rows = [
        {"source": source, "folder": "f/", "offset": at, "compressed": length, "size": length}
        for at, length in places
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def runs_of(table: pa.Table) -> list[tuple[int, int]]:
    reads = reads_of(table, [True, False])
    return [(found.start, found.stop) for found in plan_window(reads, AHEAD).requests]


def test_each_window_is_told_before_the_one_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prefetch, "AHEAD", Limits(window=250, request=250))
    blocks = [members([(number, 100)]) for number in range(7)]
    seen: list[tuple[str, list[int]]] = []

    def tell(table: pa.Table) -> None:
        seen.append(("told", table["offset"].to_pylist()))

    read = with_prefetch(iter(blocks), tell)
    seen.extend(("read", block["offset"].to_pylist()) for block in read)
    assert [found for word, found in seen if word == "told"] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [found for word, found in seen if word == "read"] == [[n] for n in range(7)]
    assert seen.index(("told", [3, 4, 5])) < seen.index(("read", [0]))
    assert seen.index(("told", [6])) < seen.index(("read", [3]))


@given(st.lists(st.tuples(st.integers(0, 1 << 22), st.integers(1, 1 << 16)), max_size=40))
def test_every_member_lies_in_a_run_and_runs_lie_apart(places: list[tuple[int, int]]) -> None:
    runs = runs_of(members([*places]))
    for offset, length in places:
        stop = offset + length + MEMBER_SLACK
        assert any(start <= offset and stop <= end for start, end in runs)
    for (_, end), (start, _) in itertools.pairwise(runs):
        assert start > end
    fetched = sum(end - start for start, end in runs)
    wanted = sum(length + MEMBER_SLACK for _, length in places)
    assert fetched <= wanted + len(places) * AHEAD.gap


def test_what_no_image_can_be_is_not_fetched() -> None:
    found = runs_of(members([(10, MAX_IMAGE_BYTES + 1), (20, 5)]))
    assert found == [(20, 25 + MEMBER_SLACK)]
    assert runs_of(members([])) == []


def test_plain_files_and_other_sources_are_not_fetched() -> None:
    assert runs_of(members([(None, 5), (20, 5)])) == [(20, 25 + MEMBER_SLACK)]
    assert runs_of(members([(20, 5)], source=1)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what is in its cache")
def test_the_system_fetches_what_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "archive"
    length = 16 << 20
    path.write_bytes(np.random.default_rng(1).bytes(length))
    descriptor = os.open(path, os.O_RDONLY)

    def is_cached(offset: int) -> bool:
        try:
            os.preadv(descriptor, [bytearray(4096)], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        return True

    def forgets(offset: int) -> bool:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return not is_cached(offset)

    try:
        os.fsync(descriptor)
        parts = [8 << 20, 12 << 20, length - 4096]
        try:
            if not all(_comes_true(partial(forgets, at)) for at in parts):
                pytest.skip("this file system keeps everything in memory")
        except OSError:
            pytest.skip("this file system does not say what is in memory")
        with LocalFile(path) as source:
            source.will_read(8 << 20, 8 << 20)
            source.will_read(length + 5, 100)
        assert all(_comes_true(partial(is_cached, at)) for at in parts)
        # What it has already is not told again.
        told: list[int] = []
        monkeypatch.setattr(os, "posix_fadvise", lambda _, start, *_rest: told.append(start))
        with LocalFile(path) as source:
            source.will_read(parts[0], 4096)
            assert not told
            source.will_read(0, length)
            assert min(told) == 0
    finally:
        os.close(descriptor)


def _comes_true(question: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not (answer := question()) and time.monotonic() < until:
        time.sleep(0.01)
    return answer
