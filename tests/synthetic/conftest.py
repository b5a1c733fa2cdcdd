"""One small release of real-sized images, and one of tiny ones, for all tests of the room."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from bioscan5m_hf.schema.upstream import BBOX_NAME
from bioscan5m_hf.schema.upstream import METADATA_STEM as STEM
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample

Rows = list[dict[str, str]]


def read_rows(path: Path, delimiter: str = ",") -> Rows:
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter=delimiter))


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release") / "sample"
    write_sample(SampleOptions(root, 40, workers=1, distinct=20))
    return root


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny") / "sample"
    options = SampleOptions(
        root,
        2_000,
        packages=("cropped_256",),
        metadata=("csv", "jsonld", "zip"),
        workers=1,
        tiny=True,
    )
    write_sample(options)
    return root


@pytest.fixture(scope="session")
def rows(tiny: Path) -> Rows:
    return read_rows(tiny / f"{STEM}.csv")


@pytest.fixture(scope="session")
def boxes_of() -> Callable[[Path], Rows]:
    return lambda root: read_rows(root / BBOX_NAME, "\t")
