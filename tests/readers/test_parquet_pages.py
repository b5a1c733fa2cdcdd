"""Of the images of a Parquet shard only the pages with a wanted row are read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.schema.columns import arrow_schema
from conversion.formats.base import with_images
from conversion.formats.parquet import ParquetWriter
from tests.reading.conftest import plain
from tests.reading.range_server import serve

SHARD = "cropped_256/train-00000-of-00001.parquet"
GROUPS, ROWS, LENGTH = 3, 300, 20_000
ALL = GROUPS * ROWS
# The first, the last, neighbours, the ends of row groups; all of them in two row groups.
WANTED = [0, 1, 137, 299, 600, 899]


def _image(number: int) -> bytes:
    return random.Random(number).randbytes(LENGTH + number)


def _block(group: int) -> tuple[pa.RecordBatch, pa.BinaryArray]:
    numbers = range(group * ROWS, (group + 1) * ROWS)
    rows = [
        {
            "processid": f"P{number}",
            "split": "train",
            "order": "Coleoptera" if number in WANTED else "Diptera",
        }
        for number in numbers
    ]
    schema = arrow_schema(image=False)
    images = pa.array([_image(number) for number in numbers])
    return pa.RecordBatch.from_pylist(rows, schema=schema), images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shard of 18 MB in three row groups of several pages, as the converter writes it."""
    root = tmp_path_factory.mktemp("pages")
    (root / SHARD).parent.mkdir()
    with ParquetWriter(root / SHARD, image=True) as writer:
        for group in range(GROUPS):
            writer.write(*_block(group))
    return root


def _rows(root: Path | str, cache: Path, wanted: str = "Coleoptera", **options: Any) -> list[Any]:
    ds = load_dataset(
        root, split="train", streaming=True, where=("order", "==", wanted), cache_dir=cache,
        **options,
    )  # fmt: skip
    return plain(ds)


def _check(rows: list[Any], numbers: list[int]) -> None:
    assert [row["processid"] for row in rows] == [f"P{number}" for number in numbers]
    for row, number in zip(rows, numbers, strict=True):
        assert row["image"] == {"bytes": _image(number), "path": f"P{number}.jpg"}


def test_the_images_are_those_of_the_rows(folder: Path, tmp_path: Path) -> None:
    _check(_rows(folder, tmp_path), WANTED)
    _check(_rows(folder, tmp_path, "Diptera"), [n for n in range(ALL) if n not in WANTED])
    rows = _rows(folder, tmp_path, columns=["image", "order"])
    assert [row["image"]["path"] for row in rows] == [f"P{number}.jpg" for number in WANTED]
    assert list(rows[0]) == ["image", "order"]


def test_only_pages_with_a_wanted_row_are_fetched(folder: Path, tmp_path: Path) -> None:
    with serve(folder, lists=True) as served:
        load_dataset(served.url, split="train", streaming=True, cache_dir=tmp_path)
        for wanted, numbers, limit in (
            ("No such order", [], 0),
            # Six wanted rows lie on five pages, of which none has more than a megabyte.
            ("Coleoptera", WANTED, 5 << 19),
        ):
            served.traffic.forget()
            _check(_rows(served.url, tmp_path, wanted), numbers)
            assert served.traffic.sent(".parquet") < limit + (200 << 10)
            assert served.traffic.count(".parquet") < 15


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zstd"},
        {"write_page_index": False},
        {"data_page_version": "2.0", "compression": "none"},
        {"use_dictionary": True, "compression": "none"},
        {"compression": "none", "data_page_size": 1 << 16},
    ],
)
@pytest.mark.parametrize("lacking", [False, True])
def test_files_that_others_wrote(options: dict[str, Any], lacking: bool, tmp_path: Path) -> None:
    rows, images = _block(0)
    table = pa.Table.from_batches([with_images(rows, images, arrow_schema(image=True))])
    if lacking:
        # A row that is wanted comes before and behind the one without an image.
        column = table["image"].to_pylist()
        column[100]["bytes"] = None
        table = table.set_column(
            0, table.schema.field("image"), pa.array(column, table["image"].type)
        )
    (tmp_path / SHARD).parent.mkdir()
    options = {"write_page_index": True, "use_dictionary": False, **options}
    pq.write_table(table, tmp_path / SHARD, row_group_size=ROWS, **options)
    _check(_rows(tmp_path, tmp_path / "cache"), [n for n in WANTED if n < ROWS])


def test_a_damaged_shard(folder: Path, tmp_path: Path) -> None:
    data = bytearray((folder / SHARD).read_bytes())
    (tmp_path / SHARD).parent.mkdir()
    # The header of the first page of images.
    data[4:40] = bytes(36)
    (tmp_path / SHARD).write_bytes(data)
    with pytest.raises(ArchiveError, match="cannot be read"):
        _rows(tmp_path, tmp_path / "cache")
