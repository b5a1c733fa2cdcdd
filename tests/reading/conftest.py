"""The same 80 specimens, in every form that can be loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conversion.sample import SampleOptions, write_sample
from tests.conftest import Run, make_once
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
PACKAGES = ("original_256", "cropped_256")

Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def forms(shared: Path, small_release: Path, call: Run) -> Path:
    """A folder that holds the release in every form, to be served as a whole."""

    def make(root: Path) -> None:
        (root / "zips").symlink_to(small_release)
        for layout, name in (("full", "full-zips"), ("folder", "unpacked")):
            options = SampleOptions(
                root / name,
                80,
                seed=2,
                workers=1,
                distinct=8,
                packages=PACKAGES,
                layout=layout,  # type: ignore[arg-type]
            )
            write_sample(options)
        for form in ("parquet", "arrow", "webdataset"):
            call(
                "convert", small_release, "--output", root / form, "--format", form,
                "--shard-size", "200kB", "--quiet",
            )  # fmt: skip

    folder = shared / "forms"
    folder.mkdir(exist_ok=True)
    return make_once(folder, make)


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
