"""Shards that lack a column: an error that names shard and column, in every way to read."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf import get, load_dataset
from bioscan5m_hf.errors import DataError

FORMATS = ("parquet", "arrow", "webdataset")
Change = Callable[[dict[str, Any]], object]


def rewrite_tar(path: Path, change: Change) -> None:
    before = path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(before)) as old, tarfile.open(path, "w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file
            data = file.read()
            if member.name.endswith(".json"):
                record = json.loads(data)
                change(record)
                data = json.dumps(record).encode()
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))


def drop(path: Path, column: str) -> None:
    """Write a shard again without one of its columns."""
    if path.suffix == ".parquet":
        pq.write_table(pq.read_table(path).drop_columns([column]), path)
    elif path.suffix == ".arrow":
        table = pa.ipc.open_stream(path.read_bytes()).read_all().drop_columns([column])
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        rewrite_tar(path, lambda record: record.pop(column))


@pytest.fixture(params=FORMATS)
def shard(request: pytest.FixtureRequest, forms: Path, tmp_path: Path) -> Path:
    """A shard of a folder that a test may change."""
    shutil.copytree(forms / request.param, tmp_path / "folder")
    return next((tmp_path / "folder" / "cropped_256").glob("test-*-of-*"))


@pytest.mark.parametrize("column", ["country", "processid"])
def test_a_column_that_is_not_there(shard: Path, column: str, tmp_path: Path) -> None:
    folder = shard.parents[1]
    processid = load_dataset(folder, split="test", streaming=True)
    wanted = next(iter(processid))["processid"]
    drop(shard, column)
    ways: list[Callable[[], object]] = [
        lambda: list(load_dataset(folder, split="test", streaming=True)),
        lambda: load_dataset(folder, split="test", cache_dir=tmp_path / "cache"),
        lambda: list(
            load_dataset(
                folder,
                split="test",
                streaming=True,
                columns=["order"],
                where=(column, "!=", "nothing"),
            )
        ),
        lambda: get(folder, [wanted]),
    ]
    for way in ways:
        with pytest.raises(DataError, match=rf"has no column .*{column}") as caught:
            way()
        assert shard.name in str(caught.value)


@pytest.mark.parametrize("shard", ["parquet", "arrow"], indirect=True)
def test_columns_that_are_not_asked_for_may_be_absent(shard: Path) -> None:
    folder = shard.parents[1]
    drop(shard, "country")
    rows = load_dataset(folder, split="test", streaming=True, columns=["order", "image"])
    assert len(list(rows)) > 0


def test_a_record_under_the_name_of_another(forms: Path, tmp_path: Path) -> None:
    shutil.copytree(forms / "webdataset", tmp_path / "folder")
    shard = next((tmp_path / "folder" / "cropped_256").glob("test-*-of-*"))
    rewrite_tar(shard, lambda record: record.update(processid="OTHER001-20"))
    with pytest.raises(DataError, match=r"\.json is the record of 'OTHER001-20'") as caught:
        list(load_dataset(tmp_path / "folder", split="test", streaming=True))
    assert shard.name in str(caught.value)
