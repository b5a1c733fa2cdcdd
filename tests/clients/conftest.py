r"""Folders for the clients; what is not installed is skipped.

Several clients weigh gigabytes and are not among the requirements of the suite. They have an
environment of their own:

    python3 -m venv clients
    clients/bin/pip install torch torchvision timm 'open_clip_torch[training]' litdata 'ray[data]' \
        daft 'dask[dataframe]' mlcroissant duckdb polars pytest hypothesis -e '.[derive,hdf5]'
    clients/bin/python -m pytest tests/clients tests/docs/test_pages.py

The versions of ``webdataset`` are two on purpose: OpenCLIP asks for 0.2.86 at most, which still has
``wids``; the suite has 1.0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from tests.conftest import Run, make_once

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The clients warn of themselves and of each other, and leave files to the collector."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


def _convert(root: Path, release: Path, call: Run, *words: str) -> None:
    call("convert", release, "--output", root, "--package", "cropped_256", *words)


@pytest.fixture(scope="session")
def parquet(release: Path, shared: Path, call: Run) -> Path:
    """A folder of Parquet, in several shards, with rejects beside vocabularies and metadata."""
    return make_once(
        shared / "clients-parquet",
        lambda root: _convert(root, release, call, "--shard-size", "2MB"),
    )


@pytest.fixture(scope="session")
def arrow(release: Path, shared: Path, call: Run) -> Path:
    """A folder of Arrow."""
    return make_once(
        shared / "clients-arrow", lambda root: _convert(root, release, call, "--format", "arrow")
    )


@pytest.fixture(scope="session")
def tars(release: Path, shared: Path, call: Run) -> Path:
    """A folder of tars with captions and classes, each split in four shards."""
    words = ("--format", "webdataset", "--captions", "--labels", "family", "--min-shards", "4")
    return make_once(shared / "clients-wds", lambda root: _convert(root, release, call, *words))


@pytest.fixture(scope="session")
def rows(parquet: Path) -> dict[str, list[dict[str, Any]]]:
    """The metadata of each split, as Arrow's own reader finds them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted((parquet / "metadata").glob("*.parquet")):
        split = path.name.partition("-")[0]
        found.setdefault(split, []).extend(pads.dataset(path).to_table().to_pylist())
    return found
