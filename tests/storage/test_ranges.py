"""Windows over remote archives: what is fetched, with how many requests, how much is held."""

from __future__ import annotations

import random
import tempfile
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.storage.ranges import Limits, Reads, Windows, plan_windows, requests_in_order

SLACK = 222
MIB = 1 << 20


def scattered(folders: int, each: int, size: int, seed: int = 1) -> Reads:
    """Folder after folder, the members of each in an order of their own."""
    choose = np.random.default_rng(seed)
    lengths = choose.integers(size // 2, size + size // 2, folders * each)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    order = np.concatenate([f * each + choose.permutation(each) for f in range(folders)])
    place = np.repeat(np.arange(folders), each)
    zeros = np.zeros(len(order), np.int64)
    return Reads(zeros, starts[order], starts[order] + lengths[order] + SLACK, place)


def fetched(reads: Reads, limits: Limits) -> tuple[int, int, int]:
    """The bytes that are asked for, the requests, and the most that a window holds."""
    windows = list(plan_windows(reads, limits))
    requests = [request for window in windows for request in window.requests]
    return (
        sum(request.stop - request.start for request in requests),
        len(requests),
        max(window.bytes for window in windows),
    )


def test_folders_of_full_scale_are_fetched_once() -> None:
    # pretrain of cropped_256: 18,000 members of 7.6 kB in each folder; a shard has three and more.
    reads = scattered(4, 18_000, 7_600)
    total = int(reads.stop.max())
    limits = Limits.of(512 * MIB)
    sent, requests, held = fetched(reads, limits)
    assert sent < 1.001 * total
    assert requests <= total // (8 * MIB) + 2 * 4
    assert held <= limits.window
    # Folders that do not fit whole are fetched again and again: what holding less costs.
    sent, _, held = fetched(reads, Limits.of(64 * MIB))
    assert 3 * total < sent < 9 * total
    assert held <= Limits.of(64 * MIB).window


def test_far_members_are_not_read_over() -> None:
    starts = np.array([0, 10_000, 50 * MIB, 10_000_000])
    reads = Reads(np.zeros(4, np.int64), starts, starts + 1000, np.zeros(4, np.int64))
    (window,) = plan_windows(reads, Limits.of(64 * MIB))
    assert [(r.start, r.stop) for r in window.requests] == [
        (0, 11_000),
        (10_000_000, 10_001_000),
        (50 * MIB, 50 * MIB + 1000),
    ]
    assert window.bytes == 4000


def test_no_reads_are_no_windows() -> None:
    nothing = np.zeros(0, np.int64)
    assert list(plan_windows(Reads(nothing, nothing, nothing, nothing), Limits.of(MIB))) == []


class Archive:
    """Bytes that count how they are read."""

    def __init__(self, length: int) -> None:
        self.data = random.Random(3).randbytes(length)
        self.requests: list[tuple[int, int]] = []
        self._lock = threading.Lock()

    def fetch(self, source: int, offset: int, length: int) -> bytes:
        with self._lock:
            self.requests.append((source, length))
        return self.data[offset : offset + length]


@pytest.mark.parametrize("hold", [MIB, 2 * MIB, 64 * MIB])
def test_every_read_gives_its_bytes(hold: int) -> None:
    reads = scattered(6, 300, 2_000)
    archive = Archive(int(reads.stop.max()) - SLACK)  # the last member has no slack behind it
    windows = Windows(reads, archive.fetch, hold)
    for start, stop in zip(reads.start.tolist(), reads.stop.tolist(), strict=True):
        assert (
            windows.read_at(0, start, stop - start)[: stop - start - SLACK]
            == (archive.data[start : stop - SLACK])
        )
    requests = len(archive.requests)
    assert requests < 160
    # What nobody expected is read all the same.
    assert windows.read_at(7, 5, 10) == archive.data[5:15]
    assert len(archive.requests) == requests + 1
    windows.close()


def test_what_is_held_stays_within_the_limit() -> None:
    reads = scattered(1, 20_000, 2_000)
    hold = 8 * MIB
    archive = Archive(int(reads.stop.max()))
    coming, most = 0, 0
    lock = threading.Lock()

    def fetch(source: int, offset: int, length: int) -> bytes:
        nonlocal coming, most
        with lock:
            coming += length
            most = max(most, coming)
        data = archive.fetch(source, offset, length)
        with lock:
            coming -= length
        return data

    windows = Windows(reads, fetch, hold)
    largest = 0
    for start, stop in zip(reads.start.tolist(), reads.stop.tolist(), strict=True):
        windows.read_at(0, start, stop - start)
        largest = max(largest, windows.held)
    windows.close()
    assert hold / 2 < largest + most <= hold
    assert windows.held == 0


def test_a_failed_request_is_the_error_of_the_read() -> None:
    reads = scattered(1, 10, 2_000)

    def fetch(_source: int, _offset: int, _length: int) -> bytes:
        raise OutputError("gone")

    windows = Windows(reads, fetch, MIB)
    with pytest.raises(OutputError, match="gone"):
        windows.read_at(0, int(reads.start[0]), 100)
    windows.close()


def test_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OutputError, match="--read-ahead"):
        Windows(scattered(1, 10, 2_000), Archive(50_000).fetch, MIB)


READS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 300), st.integers(1, 60)), max_size=30)


@given(reads=READS, gap=st.integers(0, 40), request=st.integers(1, 200), most=st.integers(1, 9))
def test_requests_in_order(
    reads: list[tuple[int, int, int]], gap: int, request: int, most: int
) -> None:
    told = [(source, start, start + length) for source, start, length in reads]
    cut = list(requests_in_order(told, Limits(1, request, gap), most))
    assert [n for first, after in cut for n in range(first, after)] == list(range(len(told)))
    for first, after in cut:
        mine = told[first:after]
        assert len({source for source, _, _ in mine}) == 1
        assert after - first == 1 or mine[-1][2] - mine[0][1] <= request
        assert after - first <= most
        assert all(b[1] - a[2] <= gap and b[1] >= mine[0][1] for a, b in pairwise(mine))
    for (first, after), _ in pairwise(cut):
        # What could have been read together was.
        (source, start, stop), begun, before = told[after], told[first], told[after - 1]
        assert (
            source != begun[0] or start < begun[1] or start - before[2] > gap
            or stop - begun[1] > request or after - first == most
        )  # fmt: skip
