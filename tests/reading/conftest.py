"""The same 80 specimens, in every form that can be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PACKAGES
from tests.independent import read_release
from tests.reading.range_server import Served, serve

KINDS = (
    "zips",
    "full-zips",
    "unpacked",
    "parquet",
    "arrow",
    "webdataset",
    "zips-http",
    "zips-http-listed",
    "parquet-http",
    "arrow-http",
    "webdataset-http",
)

Rows = list[dict[str, Any]]


@pytest.fixture
def served(forms: Path) -> Iterator[Served]:
    with serve(forms) as found:
        yield found


@pytest.fixture
def listed(forms: Path) -> Iterator[Served]:
    with serve(forms, lists=True) as found:
        yield found


@pytest.fixture
def root_of(forms: Path, served: Served, listed: Served) -> Any:
    """Where a kind of source is."""

    def find(kind: str) -> str:
        if kind.endswith("-http-listed"):
            return f"{listed.url}/{kind.removesuffix('-http-listed')}"
        if kind.endswith("-http"):
            return f"{served.url}/{kind.removesuffix('-http')}"
        return str(forms / kind)

    return find


@pytest.fixture(scope="session")
def truth(small_release: Path) -> dict[str | None, dict[str, Rows]]:
    """What an independent reader finds, for each package (``None``: metadata) and split."""

    def rows(package: str | None) -> dict[str, Rows]:
        found = read_release(small_release, package)
        return {
            split: [
                dict(s.row)
                if package is None
                else {"image": {"bytes": s.image, "path": f"{s.row['processid']}.jpg"}, **s.row}
                for s in specimens
            ]
            for split, specimens in found.items()
        }

    return {package: rows(package) for package in (*PACKAGES, None)}


def plain(ds: Any) -> Rows:
    """The rows of a dataset, images as they lie in the file."""
    import datasets

    if "image" in ds.column_names:
        ds = ds.cast_column("image", datasets.Image(decode=False))
    return list(ds)


def by_id(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: row["processid"])
