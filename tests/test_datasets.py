"""Plain ``datasets``, with nothing of this project imported, and other readers of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
from datasets import Image, get_dataset_config_names, load_dataset
from datasets.distributed import split_dataset_by_node

from bioscan5m_hf.schema.columns import SPLITS, features
from bioscan5m_hf.schema.configurations import METADATA, Configuration, configurations
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests import forked
from tests.conftest import Run, make_once
from tests.forked import DATASETS
from tests.independent import Specimen, read_release

FORMATS = ("parquet", "arrow", "webdataset")


@pytest.fixture(scope="session")
def folders(release: Path, shared: Path, call: Run) -> dict[str, Path]:
    """One package in each format, in several shards."""

    def make(form: str) -> Path:
        return make_once(
            shared / f"bioscan-5m-{form}",
            lambda root: call(
                *("convert", release, "--output", root, "--package", "cropped_256"),
                *("--format", form, "--shard-size", "3MB", "--quiet"),
            ),
        )

    return {form: make(form) for form in FORMATS}


@pytest.fixture(scope="session")
def expected(release: Path) -> dict[str, list[Specimen]]:
    return read_release(release, "cropped_256")


def flat(row: dict[str, Any]) -> tuple[bytes | None, dict[str, Any]]:
    """Image bytes and upstream's columns of a row, whatever the format calls them."""
    if "json" in row:
        assert row["jpg"]["path"] == f"{row['json']['processid']}.jpg"
        return row["jpg"]["bytes"], row["json"]
    image = row.pop("image", None)
    if image is not None:
        assert image["path"] == f"{row['processid']}.jpg"
    return image["bytes"] if image else None, row


def undecoded(dataset: Any, form: str) -> Any:
    return dataset.cast_column("jpg" if form == "webdataset" else "image", Image(decode=False))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("streaming", [False, True])
def test_every_row_is_the_independent_readers(
    form: str,
    streaming: bool,
    folders: dict[str, Path],
    expected: dict[str, list[Specimen]],
    tmp_path: Path,
) -> None:
    loaded = load_dataset(
        str(folders[form]), "cropped_256", streaming=streaming, cache_dir=str(tmp_path)
    )
    assert set(loaded) == set(expected)
    for split, specimens in expected.items():
        rows = [flat(row) for row in undecoded(loaded[split], form)]
        assert rows == [(specimen.image, specimen.row) for specimen in specimens]


@pytest.mark.parametrize("form", FORMATS)
def test_every_configuration_lists_its_splits(
    form: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    names = get_dataset_config_names(str(folders[form]))
    listed = configurations(["cropped_256"])
    if form == "webdataset":
        listed = [found for found in listed if found.name != METADATA]
    assert names == [configuration.name for configuration in listed]
    for configuration in listed:
        loaded = load_dataset(
            str(folders[form]), configuration.name, streaming=True, cache_dir=str(tmp_path)
        )
        assert list(loaded) == [split.published for split in configuration.splits]
        for split in loaded.values():
            assert next(iter(split))


def test_all_packages_load_with_all_their_configurations(
    converted: Path, release: Path, tmp_path: Path
) -> None:
    def check(configuration: Configuration) -> None:
        specimens = read_release(release, None)
        loaded = load_dataset(str(converted), configuration.name, cache_dir=str(tmp_path))
        assert {split: len(rows) for split, rows in loaded.items()} == {
            split.published: len(specimens[split.published]) for split in configuration.splits
        }
        image = configuration.package is not None
        for rows in loaded.values():
            assert rows.features == features(image=image)

    for configuration in configurations():
        check(configuration)


def test_the_default_configuration_is_cropped_256(folders: dict[str, Path], tmp_path: Path) -> None:
    loaded = load_dataset(str(folders["parquet"]), split="train", cache_dir=str(tmp_path))
    assert loaded.config_name == "cropped_256"


def test_it_loads_by_name_from_the_parent_folder_with_nothing_else_imported(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "bioscan-5m").symlink_to(folders["parquet"])
    code = """
import json, sys
from datasets import load_dataset
found = {}
for streaming in (False, True):
    data = load_dataset("bioscan-5m", "cropped_256", streaming=streaming, cache_dir="cache")
    # To the end: Arrow may abort a process that ends while it still reads for a stream.
    row, *_ = data["validation"]
    found[str(streaming)] = [row["processid"], row["image"].mode, sorted(data)]
assert not [name for name in sys.modules if name.startswith(("bioscan5m", "conversion"))]
print(json.dumps(found))
"""
    done = forked.run("-c", code, libraries=DATASETS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["False"] == found["True"]
    assert found["True"][2] == sorted(split.published for split in SPLITS)


@pytest.mark.parametrize("streaming", [False, True])
def test_columns_and_filters(
    streaming: bool,
    folders: dict[str, Path],
    expected: dict[str, list[Specimen]],
    tmp_path: Path,
) -> None:
    loaded = load_dataset(
        str(folders["parquet"]),
        "cropped_256",
        split="pretrain",
        streaming=streaming,
        columns=["processid", "order"],
        filters=[("order", "==", "Diptera")],
        cache_dir=str(tmp_path),
    )
    wanted = [s.row["processid"] for s in expected["pretrain"] if s.row["order"] == "Diptera"]
    assert 0 < len(wanted) < len(expected["pretrain"])
    assert list(loaded) == [{"processid": name, "order": "Diptera"} for name in wanted]


def test_streams_shuffle_take_and_divide(
    folders: dict[str, Path], expected: dict[str, list[Specimen]], tmp_path: Path
) -> None:
    stream = load_dataset(
        str(folders["parquet"]),
        "cropped_256",
        split="pretrain",
        streaming=True,
        cache_dir=str(tmp_path),
    ).select_columns(["processid"])
    names = {specimen.row["processid"] for specimen in expected["pretrain"]}
    shuffled = [row["processid"] for row in stream.shuffle(seed=3, buffer_size=200)]
    assert set(shuffled) == names
    assert len(shuffled) == len(names)
    assert shuffled != [row["processid"] for row in stream]
    assert len(list(stream.take(7))) == 7
    halves = [split_dataset_by_node(stream, rank, 2) for rank in range(2)]
    parts = [{row["processid"] for row in half} for half in halves]
    assert parts[0] | parts[1] == names
    assert not parts[0] & parts[1]


def test_numpy_without_torch(folders: dict[str, Path], tmp_path: Path) -> None:
    loaded = load_dataset(
        str(folders["parquet"]), "cropped_256", split="test", cache_dir=str(tmp_path)
    ).with_format("numpy")
    row = loaded[0]
    assert row["image"].dtype == np.uint8
    assert min(row["image"].shape[:2]) == 256
    assert row["area_fraction"].dtype.kind == "f"


def test_duckdb_polars_and_pandas_read_the_files(
    folders: dict[str, Path], expected: dict[str, list[Specimen]]
) -> None:
    pattern = str(folders["parquet"] / "cropped_256" / "train-*.parquet")
    names = [specimen.row["processid"] for specimen in expected["train"]]
    query = f"SELECT processid, octet_length(image.bytes) FROM '{pattern}'"
    found = duckdb.connect().execute(query).fetchall()
    assert [row[0] for row in found] == names
    sizes = [len(specimen.image or b"") for specimen in expected["train"]]
    assert [row[1] for row in found] == sizes
    assert pl.read_parquet(pattern)["processid"].to_list() == names
    files = sorted((folders["parquet"] / "cropped_256").glob("train-*.parquet"))
    assert pd.concat(pd.read_parquet(path) for path in files)["processid"].tolist() == names


def test_a_column_that_is_null_at_first_loads_from_tar_shards(tmp_path: Path, call: Run) -> None:
    write_sample(
        SampleOptions(
            tmp_path / "release", 2600, seed=7, packages=("cropped_256",), distinct=3, tiny=True
        )
    )
    call(
        *("convert", tmp_path / "release", "--output", tmp_path / "out"),
        *("--format", "webdataset", "--quiet"),
    )
    specimens = read_release(tmp_path / "release", "cropped_256")["pretrain"]
    assert len(specimens) > 1000
    assert all(specimen.row["species"] is None for specimen in specimens[:1000])
    loaded = load_dataset(str(tmp_path / "out"), "cropped_256", cache_dir=str(tmp_path / "cache"))
    assert [row["species"] for row in loaded["pretrain"]["json"]] == [None] * len(specimens)
    assert any(row["species"] for row in loaded["train"]["json"])
    assert loaded["train"].features == loaded["pretrain"].features
