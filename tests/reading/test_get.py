"""Single specimens by their processids, and what that costs over a network."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import concatenate_datasets

from bioscan5m_hf import BioscanError, get, load_dataset
from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.query.choice import Choice
from bioscan5m_hf.readers import lookup
from bioscan5m_hf.readers.formats import FORMATS
from bioscan5m_hf.readers.lookup import Place, SplitLookup
from bioscan5m_hf.readers.parquet import ParquetReader
from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.order import keys_of
from bioscan5m_hf.sources.split_table import SPLIT_TABLE_NAME, likely_splits, to_npy
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.reading.conftest import KINDS, Rows, plain
from tests.reading.range_server import Served, serve


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_in_the_order_in_which_they_were_asked_for(
    kind: str, root_of: Any, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    rows = [row for split in truth["cropped_256"].values() for row in split]
    chosen = random.Random(3).sample(rows, 12)
    chosen.append(chosen[0])
    found = get(root_of(kind), [row["processid"] for row in chosen], cache_dir=tmp_path)
    assert plain(found) == chosen
    assert found[0]["image"].size > (0, 0)


@pytest.mark.parametrize("form", FORMATS)
def test_every_specimen_is_found(
    form: str, forms: Path, truth: dict[str | None, dict[str, Rows]]
) -> None:
    rows = [row for split in truth["cropped_256"].values() for row in split]
    assert plain(get(forms / form, [row["processid"] for row in rows])) == rows


def test_one_specimen_columns_and_configurations(forms: Path) -> None:
    ds = load_dataset(forms / "parquet", "metadata", split="val")
    name = ds[0]["processid"]
    assert get(forms / "parquet", name, "metadata")[0] == ds[0]
    few = get(forms / "parquet", [name], "original_256_eval", columns=["species", "image"])
    assert few.column_names == ["image", "species"]
    assert few[0]["species"] == ds[0]["species"]
    assert get(forms / "parquet", [], columns=["species"]).num_rows == 0


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset", "parquet-http"])
def test_unknown_processids_are_listed(kind: str, root_of: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'NOBODY1-20', ''") as caught:
        get(root_of(kind), ["NOBODY1-20", ""], cache_dir=tmp_path)
    assert "cropped_256 has no specimen" in str(caught.value)
    with pytest.raises(UsageError, match="text"):
        get(root_of(kind), [5], cache_dir=tmp_path)  # type: ignore[list-item]
    with pytest.raises(BioscanError):
        get(tmp_path / "nothing", "NOBODY1-20")


def test_a_folder_without_a_manifest(forms: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "cropped_256").symlink_to(forms / "parquet" / "cropped_256")
    ds = load_dataset(forms / "parquet", split="pretrain")
    names = ds["processid"][::7]
    assert get(tmp_path / "bare", names)["processid"] == names


@pytest.fixture(scope="module")
def large(shared: Path, call: Run) -> Path:
    """20,000 specimens of one package, as Parquet and as tar, in several shards."""

    def make(root: Path) -> None:
        options = SampleOptions(
            root / "release", 20_000, seed=5, workers=1, distinct=8, packages=("cropped_256",)
        )
        write_sample(options)
        for form in ("parquet", "webdataset"):
            call(
                "convert", root / "release", "--output", root / form, "--format", form,
                "--shard-size", "20MB", "--quiet",
            )  # fmt: skip

    return make_once(shared / "large-folder", make)


@pytest.fixture
def served_large(large: Path) -> Iterator[Served]:
    with serve(large) as found:
        yield found


@pytest.mark.parametrize("form", ["parquet", "webdataset"])
@pytest.mark.parametrize("split", [split.published for split in SPLITS])
def test_one_specimen_costs_a_handful_of_requests(
    form: str, split: str, large: Path, served_large: Served
) -> None:
    ds = load_dataset(large / form, "metadata", split=split, streaming=True, columns=["processid"])
    names = [row["processid"] for row in ds]
    for name in (names[0], names[len(names) // 3], names[-1]):
        served_large.traffic.forget()
        (row,) = get(f"{served_large.url}/{form}", name)
        assert row["processid"] == name
        traffic = served_large.traffic
        assert traffic.sent() < 2_000_000
        # The manifest is looked for and read, then the table of splits, then one shard.
        assert traffic.count() <= 13
        shards = {path for _, path, _ in traffic.requests if "/cropped_256/" in path}
        assert all(f"/{split}-" in path for path in shards)


def test_row_groups_without_a_match_are_not_asked(large: Path, served_large: Served) -> None:
    path = sorted((large / "parquet" / "cropped_256").glob("pretrain-*"))[2]
    file = pq.ParquetFile(path)
    groups = [
        file.read_row_group(n, ["processid"])["processid"] for n in range(file.num_row_groups)
    ]
    assert len(groups) > 2
    ends = (0, file.metadata.num_rows - 1)
    read = ParquetReader(path, rows=ends).read(Choice(("processid",)))
    assert [table["processid"] for table in read] == [groups[0], groups[-1]]

    wanted = groups[1][5].as_py()
    condition = ("processid", "==", wanted)
    url = f"{served_large.url}/parquet"
    found = load_dataset(url, split="pretrain", streaming=True, where=[condition])
    assert [row["processid"] for row in found] == [wanted]
    asked = [path for _, path, _ in served_large.traffic.requests if "/cropped_256/" in path]
    # The end of one shard, what decides in one row group, the other columns and a page.
    assert len(asked) <= 7


def test_the_table_of_splits_tells_where_each_specimen_is(tmp_path: Path) -> None:
    names = [f"P{number}" for number in range(40_000)]
    splits = np.random.default_rng(1).integers(0, len(SPLITS), len(names))
    path = tmp_path / SPLIT_TABLE_NAME
    path.write_bytes(to_npy(keys_of(names), splits))
    assert np.load(path).dtype == np.uint32
    # One is looked up in a window, and so many in the whole.
    for chosen in [[number] for number in range(0, len(names), 1_999)] + [range(len(names))]:
        found = likely_splits(path, [names[number] for number in chosen])
        assert all(SPLITS[splits[number]] in found[names[number]] for number in chosen)
        assert sum(map(len, found.values())) <= len(found) * 1.01
    assert likely_splits(path, ["NOBODY1-20"]) == {"NOBODY1-20": set()}


@pytest.mark.parametrize("wrong", [b"", b"nothing", bytes(500)])
def test_the_table_of_splits_is_only_a_hint(wrong: bytes, forms: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(forms / "parquet", tmp_path / "folder"))
    names = load_dataset(folder, "metadata", split="val")["processid"]
    path = folder / SPLIT_TABLE_NAME
    keys = keys_of(names)
    for data in (wrong, to_npy(keys, np.full(len(keys), 7)), to_npy(keys[:1], np.zeros(1))):
        path.write_bytes(data)
        assert get(folder, names, "metadata")["processid"] == names
    path.unlink()
    assert get(folder, names, "metadata")["processid"] == names


class _Listed:
    """A shard in memory; a block may be empty."""

    def __init__(self, blocks: list[list[str]]) -> None:
        self._blocks = blocks
        self.edges = np.cumsum([0, *(max(1, len(block)) for block in blocks)])
        self.asked: list[int] = []

    def open_blocks(self, _stack: ExitStack) -> _Listed:
        return self

    def names(self, block: int) -> list[str]:
        self.asked.append(block)
        return self._blocks[block]


@pytest.mark.parametrize("seed", range(20))
def test_any_division_into_shards_and_blocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    names = [f"P{number}" for number in range(rng.randrange(1, 400))]
    names.sort(key=lambda name: int(keys_of([name])[0]))
    absent = [names.pop(rng.randrange(len(names))) for _ in range(len(names) // 3)]
    shards: list[_Listed] = []
    left = list(names)
    while left:
        # No shard is empty, but a stretch of a tar may be.
        blocks = [[], [left.pop(0)]]
        for _ in range(rng.randrange(5)):
            count = rng.choice([0, 1, 2, 30])
            blocks.append(left[:count])
            left = left[count:]
        shards.append(_Listed(blocks))
    monkeypatch.setattr(lookup, "open_shard", lambda path: shards[int(str(path))])
    rows = [rng.choice([1, int(shard.edges[-1])]) for shard in shards]
    with SplitLookup([Path(str(number)) for number in range(len(shards))], rows) as found:
        for name in names:
            place = found.find(name)
            assert isinstance(place, Place)
            assert shards[place.shard].names(place.block)[place.row] == name
        assert [found.find(name) for name in absent] == [None] * len(absent)


def test_a_shard_is_not_asked_for_all_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [f"P{n}" for n in range(100_000)]
    names = [made[n] for n in np.argsort(keys_of(made))]
    shard = _Listed([names[start : start + 50] for start in range(0, len(names), 50)])
    monkeypatch.setattr(lookup, "open_shard", lambda _: shard)
    for name in names[::9_973]:
        shard.asked.clear()
        with SplitLookup([Path("one")], [len(names)]) as found:
            assert found.find(name)
        assert len(shard.asked) <= 4


def test_show(forms: Path, call: Run, tmp_path: Path) -> None:
    wanted = plain(load_dataset(forms / "webdataset", split="val"))[0]
    image = wanted.pop("image")
    name = wanted["processid"]
    photograph = tmp_path / "out.jpg"
    shown = call("show", forms / "webdataset", name, "--image", photograph).stdout
    assert name in shown
    assert wanted["sampleid"] in shown
    assert photograph.read_bytes() == image["bytes"]
    assert json.loads(call("show", forms / "arrow", name, "--json").stdout) == wanted
    again = call("show", forms / "parquet", name, "--image", photograph, status=1).stderr
    assert "is there already" in again
    words = ("show", forms / "parquet", name, "--package", "metadata", "--image", tmp_path / "b")
    assert "no photographs" in call(*words, status=2).stderr
    assert "NOBODY1-20" in call("show", forms / "parquet", "NOBODY1-20", status=2).stderr


def test_rows_are_those_of_load_dataset(converted: Path) -> None:
    every = concatenate_datasets(list(load_dataset(converted, "metadata").values()))
    names = every["processid"][::101]
    wanted = every.filter(lambda row: row["processid"] in set(names))
    found = get(converted, wanted["processid"], "metadata")
    assert found.to_list() == wanted.to_list()
    assert found.features == every.features
