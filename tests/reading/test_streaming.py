"""Streams that are stopped, shuffled, divided and handed to workers."""

from __future__ import annotations

import importlib.util
import itertools
import pickle
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import Bioscan5M, load_dataset
from bioscan5m_hf.storage.prefetch import Ahead, ahead

SOURCES = ["zips", "unpacked", "parquet", "arrow", "webdataset", "zips-http", "parquet-http"]


def _ids(ds: Any) -> list[str]:
    return [row["processid"] for row in ds]


@pytest.fixture
def stream(root_of: Any, tmp_path: Path) -> Any:
    def load(kind: str, split: str = "pretrain") -> Any:
        return load_dataset(
            root_of(kind), split=split, streaming=True, columns=["image", "processid"],
            cache_dir=tmp_path,
        ).decode(False)  # fmt: skip

    return load


@pytest.mark.parametrize("kind", SOURCES)
def test_a_stopped_stream_goes_on_where_it_was(kind: str, stream: Any) -> None:
    whole = _ids(stream(kind, "pretrain+val"))
    for stop in (1, len(whole) // 2, len(whole) - 1):
        ds = stream(kind, "pretrain+val")
        before = []
        for row in ds:
            before.append(row["processid"])
            if len(before) == stop:
                state = ds.state_dict()
                break
        again = stream(kind, "pretrain+val")
        again.load_state_dict(state)
        assert before + _ids(again) == whole


@pytest.mark.parametrize("kind", SOURCES)
def test_nodes_and_workers_see_every_specimen_once(kind: str, stream: Any) -> None:
    from datasets.distributed import split_dataset_by_node

    whole = _ids(stream(kind))
    for nodes in (2, 3):
        parts = [_ids(split_dataset_by_node(stream(kind), n, nodes)) for n in range(nodes)]
        assert all(parts)
        assert sorted(itertools.chain(*parts)) == sorted(whole)
    ds = stream(kind)
    shards = [_ids(ds.shard(ds.num_shards, index)) for index in range(ds.num_shards)]
    assert sorted(itertools.chain(*shards)) == sorted(whole)


@pytest.mark.parametrize("kind", SOURCES)
def test_shuffling_changes_the_order_only(kind: str, stream: Any) -> None:
    whole = _ids(stream(kind))
    first = _ids(stream(kind).shuffle(seed=1, buffer_size=10))
    assert first != whole
    assert sorted(first) == sorted(whole)
    assert first == _ids(stream(kind).shuffle(seed=1, buffer_size=10))
    ds = stream(kind).shuffle(seed=1, buffer_size=10)
    ds.set_epoch(1)
    assert _ids(ds) != first


def test_a_raw_split_has_pieces_for_many_workers(stream: Any) -> None:
    assert stream("zips").num_shards >= 8
    assert stream("zips", "val").num_shards > 1


@pytest.mark.parametrize("kind", ["parquet", "arrow", "webdataset", "zips"])
def test_shards_can_be_divided_further(kind: str, stream: Any) -> None:
    ds = stream(kind)
    more = ds.reshard()
    assert more.num_shards >= ds.num_shards
    assert _ids(more) == _ids(ds)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_stream_can_be_sent_to_another_process(kind: str, stream: Any) -> None:
    ds = stream(kind)
    assert _ids(pickle.loads(pickle.dumps(ds))) == _ids(ds)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("kind", ["zips", "parquet"])
def test_a_data_loader_with_two_workers(kind: str, stream: Any) -> None:
    from torch.utils.data import DataLoader

    ds = stream(kind).select_columns(["processid"])
    found = [
        name for batch in DataLoader(ds, batch_size=4, num_workers=2) for name in batch["processid"]
    ]
    assert sorted(found) == sorted(_ids(ds))


def test_preparing_with_two_processes(root_of: Any, tmp_path: Path) -> None:
    one = load_dataset(root_of("zips"), split="pretrain", cache_dir=tmp_path / "one")
    two = load_dataset(root_of("zips"), split="pretrain", cache_dir=tmp_path / "two", num_proc=2)
    assert _ids(two) == _ids(one)


def test_the_builder_serves_a_raw_release(forms: Path, tmp_path: Path) -> None:
    builder = Bioscan5M(
        config_name="cropped_256_eval", data_dir=str(forms / "zips"), cache_dir=str(tmp_path)
    )
    streamed = builder.as_streaming_dataset(split="validation")
    builder.download_and_prepare()
    prepared = builder.as_dataset()
    assert _ids(prepared["validation"]) == _ids(streamed)
    assert list(prepared) == [split.published for split in builder.served_splits]
    assert set(Bioscan5M.builder_configs) >= {"cropped_256", "original_full_train", "metadata"}


def test_what_is_read_before_it_is_asked_for_is_more_than_what_is_read_after() -> None:
    made: list[int] = []

    def numbers() -> Any:
        for number in range(100):
            made.append(number)
            yield number

    def wait_for(count: int) -> None:
        until = time.monotonic() + 60
        while len(made) < count and time.monotonic() < until:
            time.sleep(0.001)

    with closing(Ahead(numbers(), start=10)) as reader:
        wait_for(11)
        assert len(made) == 11
        assert [next(reader) for _ in range(10)] == list(range(10))
        wait_for(12)
        assert len(made) <= 10 + 1 + 1
        assert list(reader) == list(range(10, 100))


def test_reading_ahead_is_bounded_and_ends_with_its_consumer() -> None:
    made: list[int] = []

    def numbers() -> Any:
        try:
            for number in range(100):
                made.append(number)
                yield number
        finally:
            made.append(-1)

    reader = ahead(numbers())
    assert [next(reader) for _ in range(5)] == [0, 1, 2, 3, 4]
    reader.close()
    assert made[-1] == -1
    assert len(made) <= 5 + 3 + 1
    assert list(ahead(iter(range(7)))) == list(range(7))

    def broken() -> Any:
        yield 1
        raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        list(ahead(broken()))
