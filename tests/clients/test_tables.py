"""Readers of tables take one configuration or one split of a converted folder."""

from __future__ import annotations

import glob
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Rows = dict[str, list[dict[str, Any]]]

# What each reader calls the processids that it finds, given a folder or a pattern of files.
Read = Callable[[str], list[str]]


def _daft(path: str) -> list[str]:
    import daft

    names: list[str] = daft.read_parquet(path).select("processid").to_pydict()["processid"]
    return names


def _dask(path: str) -> list[str]:
    import dask.dataframe

    names: list[str] = dask.dataframe.read_parquet(path)["processid"].compute().tolist()
    return names


def _duckdb(path: str) -> list[str]:
    import duckdb

    found: Any = duckdb.sql(f"SELECT processid FROM '{path}'")
    return [name for (name,) in found.fetchall()]


def _polars(path: str) -> list[str]:
    import polars

    frame: Any = polars.scan_parquet(path).select("processid").collect()
    names: list[str] = frame["processid"].to_list()
    return names


def _pandas(path: str) -> list[str]:
    import pandas as pd

    names: list[str] = pd.read_parquet(path, columns=["processid"])["processid"].tolist()
    return names


def _ray(path: str) -> list[str]:
    import ray.data

    # It knows no patterns.
    files = path if "*" not in path else sorted(glob.glob(path))  # noqa: PTH207
    return [row["processid"] for row in ray.data.read_parquet(files).iter_rows()]


READERS: dict[str, Read] = {
    "daft": _daft, "dask": _dask, "duckdb": _duckdb, "polars": _polars, "pandas": _pandas,
    "ray": _ray,
}  # fmt: skip
OF_FILES = ("daft", "dask", "duckdb", "polars", "ray")
OF_FOLDERS = ("daft", "dask", "polars", "pandas", "ray")


@pytest.fixture(scope="module", autouse=True)
def _ray_ends() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Else it keeps a token in the home of the user.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.mark.parametrize("client", OF_FILES)
@pytest.mark.parametrize("configuration", ["cropped_256", "metadata"])
def test_one_split(client: str, configuration: str, parquet: Path, rows: Rows) -> None:
    pytest.importorskip(client)
    found = READERS[client](f"{parquet}/{configuration}/train-*.parquet")
    assert found == [row["processid"] for row in rows["train"]]


@pytest.mark.parametrize("client", OF_FOLDERS)
@pytest.mark.parametrize("configuration", ["cropped_256", "metadata"])
def test_one_configuration(client: str, configuration: str, parquet: Path, rows: Rows) -> None:
    pytest.importorskip(client)
    found = READERS[client](f"{parquet}/{configuration}")
    assert sorted(found) == sorted(row["processid"] for split in rows.values() for row in split)


def test_ray_reads_tars(tars: Path, rows: Rows) -> None:
    pytest.importorskip("ray")
    import ray.data

    found = ray.data.read_webdataset(str(tars / "cropped_256"), file_extensions=["tar"])
    samples = list(found.iter_rows())
    assert sorted(sample["__key__"] for sample in samples) == sorted(
        row["processid"] for split in rows.values() for row in split
    )
    assert all(sample["json"]["processid"] == sample["__key__"] for sample in samples)


def test_polars_reads_arrow_streams(arrow: Path, rows: Rows) -> None:
    polars = pytest.importorskip("polars")
    paths = sorted((arrow / "cropped_256").glob("train-*.arrow"))
    found = polars.concat(polars.read_ipc_stream(path, columns=["processid"]) for path in paths)
    assert found["processid"].to_list() == [row["processid"] for row in rows["train"]]


def test_a_whole_folder_mixes_rows(parquet: Path, rows: Rows) -> None:
    """What the card warns of: images, metadata and vocabularies in one table."""
    pytest.importorskip("dask")
    import dask.dataframe

    specimens = sum(map(len, rows.values()))
    assert len(dask.dataframe.read_parquet(str(parquet))) > 2 * specimens
