"""What goes over the network, counted by a real server."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import BioscanError, labels, load_dataset
from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.open import exists, open_location, read_whole
from bioscan5m_hf.storage.path import RemotePath, location_of
from bioscan5m_hf.storage.prefetch import ReadAhead
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import make_once
from tests.independent import read_images, read_rows
from tests.reading.conftest import by_id, plain
from tests.reading.range_server import Served, serve

EVAL = "BIOSCAN_5M_cropped_256_eval.zip"
METADATA = "BIOSCAN_5M_Insect_Dataset_metadata_MultiTypes.zip"


@pytest.fixture(scope="module")
def wide(shared: Path) -> Path:
    """Enough specimens for an archive of some megabytes, the metadata in their zip only."""

    def make(root: Path) -> None:
        write_sample(
            SampleOptions(
                root,
                9_000,
                seed=5,
                workers=2,
                distinct=8,
                packages=("cropped_256",),
                metadata=("zip",),
            )
        )

    return make_once(shared / "wide", make)


@pytest.fixture
def wide_served(wide: Path) -> Iterator[Served]:
    with serve(wide, lists=True) as found:
        yield found


def _directory_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return path.stat().st_size - archive.start_dir


@pytest.mark.parametrize("split", ["pretrain", "key_unseen"])
def test_the_first_row_comes_early(
    split: str, wide: Path, wide_served: Served, tmp_path: Path
) -> None:
    partition = "pretrain" if split == "pretrain" else "eval"
    path = wide / f"BIOSCAN_5M_cropped_256_{partition}.zip"
    ds = load_dataset(
        wide_served.url,
        f"cropped_256_{partition}",
        split=split,
        streaming=True,
        cache_dir=tmp_path,
    )
    rows = iter(ds)
    assert next(rows)["image"].size
    rows.close()
    traffic = wide_served.traffic
    # The directory; the stretch of the first row, and at most two that are read ahead.
    limit = _directory_bytes(path) + (1 << 17) + 3 * (4 << 20)
    assert split == "key_unseen" or path.stat().st_size > 1.5 * limit
    assert traffic.sent(path.name) <= limit
    assert traffic.sent(METADATA) <= (wide / METADATA).stat().st_size
    assert traffic.sent() < traffic.sent(path.name) + traffic.sent(METADATA) + 10_000


def test_the_metadata_are_read_once(wide: Path, wide_served: Served, tmp_path: Path) -> None:
    for split in ("val", "test", "val"):
        list(
            load_dataset(
                wide_served.url,
                split=split,
                streaming=True,
                columns=["species"],
                cache_dir=tmp_path,
            )
        )
    csv_bytes = wide_served.traffic.sent(METADATA)
    with zipfile.ZipFile(wide / METADATA) as archive:
        member = next(m for m in archive.infolist() if m.filename.endswith(".csv"))
    # The csv and the directory, not the JSON-LD that lies beside it.
    assert member.compress_size < csv_bytes < member.compress_size + (1 << 20)
    assert len(labels(wide_served.url, "species", cache_dir=tmp_path)) > 1
    assert wide_served.traffic.sent(METADATA) < csv_bytes + (1 << 17)


def test_a_whole_split_costs_few_requests(wide: Path, wide_served: Served, tmp_path: Path) -> None:
    options: dict[str, Any] = {"split": "pretrain", "streaming": True, "cache_dir": tmp_path}
    load_dataset(wide_served.url, **options)
    wide_served.traffic.forget()
    rows = plain(load_dataset(wide_served.url, **options))
    images = read_images(wide, "cropped_256")
    assert {r["processid"]: r["image"]["bytes"] for r in rows} == {
        r["processid"]: images[r["processid"]] for r in rows
    }
    name = "BIOSCAN_5M_cropped_256_pretrain.zip"
    size = (wide / name).stat().st_size
    assert wide_served.traffic.sent(name) < 1.1 * size
    # One request for each few megabytes or piece.
    assert wide_served.traffic.count(name) <= size // (1 << 20) + 20


def test_images_of_other_rows_are_not_fetched(
    wide: Path, wide_served: Served, tmp_path: Path
) -> None:
    ds = load_dataset(
        wide_served.url,
        split="pretrain",
        streaming=True,
        cache_dir=tmp_path,
        where=("order", "==", "Psocodea"),
    )
    wide_served.traffic.forget()
    rows = plain(ds)
    assert rows
    assert {row["order"] for row in rows} == {"Psocodea"}
    size = (wide / "BIOSCAN_5M_cropped_256_pretrain.zip").stat().st_size
    assert wide_served.traffic.sent("pretrain.zip") < size / 2


def test_columns_of_parquet_shards_come_without_their_images(
    forms: Path, served: Served, tmp_path: Path
) -> None:
    ds = load_dataset(
        f"{served.url}/parquet", split="pretrain", streaming=True, columns=["species"],
        cache_dir=tmp_path,
    )  # fmt: skip
    assert len(list(ds)) > 10
    shards = list((forms / "parquet" / "cropped_256").glob("pretrain-*"))
    assert served.traffic.sent(".parquet") < sum(path.stat().st_size for path in shards) / 2


def test_a_filter_fetches_no_image_where_no_row_matches(
    forms: Path, served: Served, tmp_path: Path
) -> None:
    ds = load_dataset(
        f"{served.url}/parquet",
        split="pretrain",
        streaming=True,
        where=("order", "==", "No such order"),
        cache_dir=tmp_path,
    )
    assert list(ds) == []
    shards = list((forms / "parquet" / "cropped_256").glob("pretrain-*"))
    assert served.traffic.sent(".parquet") < sum(path.stat().st_size for path in shards) / 2


@pytest.mark.parametrize("form", ["parquet", "arrow", "webdataset"])
def test_shards_without_a_match_are_not_opened(form: str, forms: Path, served: Served) -> None:
    every = [row for ds in load_dataset(forms / form).values() for row in plain(ds)]
    of_pretrain = [row for row in every if row["split"] == "pretrain"]
    wanted = of_pretrain[7]["processid"]
    for condition, count in ((("processid", "==", wanted), 1), (("country", "==", "Nowhere"), 0)):
        served.traffic.forget()
        found = load_dataset(
            f"{served.url}/{form}", split="pretrain", streaming=True, where=condition
        )
        rows = plain(found)
        assert [row["processid"] for row in rows] == [wanted] * count
        shards = list((forms / form / "cropped_256").glob("pretrain-*"))
        assert len(shards) > 1
        requests = list(served.traffic.requests)
        opened = {path for _, path, _ in requests if "/cropped_256/" in path}
        assert len(opened) == count
        largest = max(path.stat().st_size for path in shards)
        assert sum(size for _, path, size in requests if path not in opened) <= 200_000
        fetched = sum(size for _, path, size in requests if path in opened)
        # The end of a small Parquet shard, with its footer, is read more than once.
        assert fetched <= count * (largest + (128 << 10))
    everything = load_dataset(
        f"{served.url}/{form}", split="pretrain", where=("split", "==", "pretrain")
    )
    assert plain(everything) == of_pretrain


def test_a_busy_server_is_asked_again(forms: Path, served: Served, tmp_path: Path) -> None:
    ds = load_dataset(f"{served.url}/zips", split="val", streaming=True, cache_dir=tmp_path)
    served.failures.extend([1, 1])
    rows = plain(ds)
    wanted = plain(load_dataset(forms / "zips", split="val", streaming=True, cache_dir=tmp_path))
    assert by_id(rows) == by_id(wanted)
    assert not served.failures


def test_a_server_without_ranges_is_told_from_one_with(forms: Path, tmp_path: Path) -> None:
    with (
        serve(forms / "zips", ranges=False) as found,
        pytest.raises(BioscanError, match="does not serve ranges"),
    ):
        load_dataset(found.url, split="val", streaming=True, cache_dir=tmp_path)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with serve(tmp_path) as found:
        url = found.url
    with pytest.raises(ArchiveError, match="cannot be read"):
        load_dataset(url, split="val", streaming=True, cache_dir=tmp_path)


def test_an_empty_server_lacks_a_release(tmp_path: Path) -> None:
    with serve(tmp_path) as found, pytest.raises(BioscanError, match="no images of BIOSCAN-5M"):
        load_dataset(found.url, split="val", streaming=True, cache_dir=tmp_path)


def test_any_file_system_of_fsspec(forms: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    for form in ("zips", "parquet"):
        memory.put(f"{(forms / form).resolve()}/", f"/{form}/", recursive=True)
        found = load_dataset(f"memory://{form}", split="val", streaming=True, cache_dir=tmp_path)
        wanted = load_dataset(forms / form, split="val", streaming=True, cache_dir=tmp_path)
        assert by_id(plain(found)) == by_id(plain(wanted))
    assert exists(RemotePath("memory://zips/" + EVAL))
    assert not exists(RemotePath("memory://zips/nothing"))


def test_reading_ahead_gives_the_same_bytes(forms: Path, served: Served) -> None:
    path = forms / "zips" / EVAL
    data = path.read_bytes()
    with ReadAhead(open_location(RemotePath(f"{served.url}/zips/{EVAL}"))) as source:
        assert source.size == len(data)
        for offset, length in ((0, 10), (10, 100_000), (50, 20), (len(data) - 5, 50), (3, 3)):
            assert source.read_at(offset, length) == data[offset : offset + length]
        served.traffic.forget()
        position = 0
        while position < len(data):
            assert source.read_at(position, 1000) == data[position : position + 1000]
            position += 1000
        assert served.traffic.count() < 20
    assert read_whole(location_of(f"file://{path}"), len(data)) == data


def test_a_file_that_is_not_there(served: Served) -> None:
    with pytest.raises(ArchiveError, match="404"):
        open_location(RemotePath(f"{served.url}/nothing.zip"))
    with pytest.raises(ArchiveError, match="cannot be opened"):
        open_location(RemotePath("memory://nothing.zip"))
    with pytest.raises(BioscanError, match="cannot be read"):
        open_location(RemotePath("nosuchscheme://nothing.zip"))


def test_the_rows_of_the_csv(wide: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wide / METADATA) as archive:
        archive.extractall(tmp_path / "unzipped")
    rows = read_rows(next((tmp_path / "unzipped").rglob("*.csv")))
    found: list[dict[str, Any]] = []
    for ds in load_dataset(wide, "metadata", streaming=True, cache_dir=tmp_path).values():
        found += list(ds)
    assert by_id(found) == sorted(rows, key=lambda row: str(row["processid"]))
