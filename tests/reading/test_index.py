"""The index of a raw release: a small one for small splits, and the same rows out of either."""

from __future__ import annotations

import csv
import logging
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import Bioscan5M, get, labels, load_dataset
from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.sources import raw_metadata
from tests.reading.conftest import Rows, plain
from tests.rows import chunk

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"

Truth = dict[str | None, dict[str, Rows]]


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is read of metadata while a test runs, an entry for each time."""
    found: list[Any] = []

    def counted(file: Any, *rest: Any) -> Iterator[Any]:
        found.append(file)
        return read_metadata(file, *rest)

    monkeypatch.setattr(raw_metadata, "read_metadata", counted)
    return found


def _stream(root: Path, cache: Path, split: Any, name: str = "cropped_256", **options: Any) -> Any:
    return load_dataset(root, name, split, True, cache_dir=cache, **options)


def _indexes(cache: Path) -> set[str]:
    folders = (cache / "bioscan5m_index").iterdir()
    return {path.name.rpartition("-")[0] for path in folders if path.name.startswith("metadata-")}


@pytest.mark.parametrize("package", ["cropped_256", None])
def test_small_splits_first_and_then_the_large_one(
    package: str | None,
    small_release: Path,
    truth: Truth,
    tmp_path: Path,
    readings: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As the runs of five million specimens, there are several.
    monkeypatch.setattr(raw_metadata, "RUN_BYTES", 20_000)

    def rows(split: str) -> Rows:
        return plain(_stream(small_release, tmp_path, split, package or "metadata"))

    small = [split.published for split in SPLITS if split.name != "pretrain"]
    for split in reversed(small):
        assert rows(split) == truth[package][split]
    assert _indexes(tmp_path) == {"metadata-of-few"}
    assert len(readings) == 1
    for split in ("pretrain", *small):
        assert rows(split) == truth[package][split]
    assert _indexes(tmp_path) == {"metadata-of-few", "metadata"}
    assert len(readings) == 2


def _dictionary(root: Path, cache: Path) -> None:
    for each in _stream(root, cache, None).values():
        plain(each)


def _joined(root: Path, cache: Path) -> None:
    named = [row["split"] for row in plain(_stream(root, cache, "val+pretrain"))]
    assert named == sorted(named, reverse=True)
    assert set(named) == {"val", "pretrain"}


def _listed(root: Path, cache: Path) -> None:
    found = _stream(root, cache, ["val", "test+pretrain", "train"])
    assert [plain(each)[0]["split"] for each in found] == ["val", "test", "train"]


def _prepared(root: Path, cache: Path) -> None:
    load_dataset(root, cache_dir=cache, unique_barcodes=True)


def _numbered(root: Path, cache: Path) -> None:
    plain(_stream(root, cache, "val", class_labels=["species"]))
    plain(_stream(root, cache, "pretrain"))


def _unique(root: Path, cache: Path) -> None:
    plain(_stream(root, cache, "val+pretrain", unique_barcodes=True))


def _built(root: Path, cache: Path) -> None:
    options: dict[str, Any] = {
        "data_dir": str(root),
        "cache_dir": str(cache),
        "splits": ["validation"],
        "among": ["validation", "pretrain"],
        "unique_barcodes": True,
    }
    plain(Bioscan5M(**options).as_streaming_dataset(split="validation"))


def _got(root: Path, cache: Path) -> None:
    first = plain(_stream(root, cache, "pretrain"))[0]["processid"]
    assert get(root, first, cache_dir=cache)[0]["processid"] == first


def _in_torch(root: Path, cache: Path) -> None:
    pytest.importorskip("torch")
    from bioscan5m_hf.torch import BIOSCAN5M, BIOSCAN5MStream

    dataset = BIOSCAN5M(str(root), split="val", cache_dir=cache)
    assert len(dataset)
    assert dataset[0]
    assert len(dataset.metadata) == len(dataset)
    assert next(iter(BIOSCAN5MStream(str(root), split="val", cache_dir=cache)))


def _in_torch_as_text(root: Path, cache: Path) -> None:
    pytest.importorskip("torch")
    from bioscan5m_hf.torch import BIOSCAN5M

    options: Any = {"target_format": "text", "modality": ("dna", "species_index")}
    assert BIOSCAN5M(str(root), split="val", cache_dir=cache, **options)[0]


@pytest.mark.parametrize(
    "use",
    [
        _dictionary,
        _joined,
        _listed,
        _prepared,
        _numbered,
        _unique,
        _built,
        _got,
        _in_torch,
        _in_torch_as_text,
    ],
)
def test_the_metadata_are_read_once(
    use: Callable[[Path, Path], None], small_release: Path, tmp_path: Path, readings: list[Any]
) -> None:
    use(small_release, tmp_path)
    assert len(readings) == 1
    assert _indexes(tmp_path) == {"metadata"}


@pytest.mark.parametrize("name", ["cropped_256_eval", "cropped_256_train"])
def test_a_configuration_without_the_large_split(
    name: str, small_release: Path, truth: Truth, tmp_path: Path, readings: list[Any]
) -> None:
    for split, found in _stream(small_release, tmp_path, None, name).items():
        assert plain(found) == truth["cropped_256"][split]
    assert _indexes(tmp_path) == {"metadata-of-few"}
    assert len(readings) == 1


def test_metadata_behind_a_url_are_fetched_once(
    root_of: Any, truth: Truth, tmp_path: Path, readings: list[Any]
) -> None:
    for split in ("validation", "pretrain"):
        assert (
            plain(_stream(root_of("zips-http"), tmp_path, split, "metadata")) == truth[None][split]
        )
    assert _indexes(tmp_path) == {"metadata"}
    assert len(readings) == 1


def test_labels_are_those_of_all_records(small_release: Path, tmp_path: Path) -> None:
    plain(_stream(small_release, tmp_path / "few", "val"))
    assert _indexes(tmp_path / "few") == {"metadata-of-few"}
    for rank in RANKS:
        found, whole = (labels(small_release, rank, cache_dir=tmp_path / c) for c in ("few", "all"))
        assert found.names == whole.names
        for split in SPLITS:
            assert found.counts[split.name].tolist() == whole.counts[split.name].tolist()
    rows = [
        plain(_stream(small_release, tmp_path / cache, "val", class_labels=list(RANKS)))
        for cache in ("few", "new")
    ]
    assert rows[0] == rows[1]


@pytest.fixture
def changed(small_release: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a release of which some cells of the csv are others."""

    def change(edit: Callable[[dict[str, list[dict[str, str]]]], None]) -> Path:
        root = tmp_path / "changed"
        shutil.copytree(small_release, root)
        with (root / CSV).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        edit({s.name: [row for row in rows if row["split"] == s.name] for s in SPLITS})
        with (root / CSV).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return root

    return change


@pytest.mark.parametrize(
    ("copied", "over"), [("pretrain", "val"), ("val", "pretrain"), ("pretrain", "pretrain")]
)
@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_a_processid_in_two_records_of_whatever_split(
    copied: str, over: str, on_error: str, changed: Callable[..., Path], tmp_path: Path
) -> None:
    def edit(rows: dict[str, list[dict[str, str]]]) -> None:
        name = rows[copied][0]["processid"]
        rows[over][-1] |= {"processid": name, "chunk": chunk(name, over)}

    root = changed(edit)
    told = []
    for split in ("val", "pretrain"):
        with pytest.raises(MetadataError, match=r"row \d+: the processid .* in row \d+") as caught:
            _stream(root, tmp_path / split, split, on_error=on_error)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_what_is_left_out_of_the_large_split_is_told(
    changed: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def edit(rows: dict[str, list[dict[str, str]]]) -> None:
        rows["pretrain"][1]["coord-lat"] = "north"
        rows["pretrain"][-1]["split"] = "nowhere"
        rows["val"][-1]["area_fraction"] = "-1"
        rows["pretrain"][2]["taxon"] = "Something else"

    root = changed(edit)
    told = []
    for split in ("val", "pretrain"):
        with pytest.raises(MetadataError) as caught:
            _stream(root, tmp_path / split, split)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            _stream(root, tmp_path / split, split, on_error="skip")
        texts = [r.getMessage() for r in caplog.records if CSV in r.getMessage()]
        told.append([str(caught.value), *texts])
    assert told[0] == told[1]
    assert any("3 records are left out" in text for text in told[0])
    assert any("is not the most specific" in text for text in told[0])


def test_many_ask_at_once(small_release: Path, truth: Truth, tmp_path: Path) -> None:
    wanted = ["validation", "pretrain", "train", "pretrain"] * 2
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = pool.map(lambda split: plain(_stream(small_release, tmp_path, split)), wanted)
        assert list(found) == [truth["cropped_256"][split] for split in wanted]
    assert not [p for p in (tmp_path / "bioscan5m_index").iterdir() if p.name.startswith(".")]
