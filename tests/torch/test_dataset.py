"""``BIOSCAN5M`` against the class of bioscan-dataset, and in a ``DataLoader``."""

from __future__ import annotations

import inspect
import math
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bioscan5m_hf.errors import MetadataError, ReleaseNotFound, UnknownName, UsageError
from bioscan5m_hf.jpeg import decode_jpeg
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.source_rows import SOURCE_ROWS_NAME
from bioscan5m_hf.torch import BIOSCAN5M, RGB_MEAN, RGB_STDEV

KINDS = ("zips", "unpacked", "parquet", "arrow", "webdataset")
EXPRESSIONS = (
    *(split.name for split in SPLITS), "validation", "seen", "unseen", "all", "pretrain+train",
    "train+validation", "seen+train", " unseen + val ", "all+seen", None,
)  # fmt: skip
COLUMNS = (
    "image", "dna", "processid", "country", "coord-lat", "image_measurement_value", "chunk",
    "dna_bin_index", "image_path",
)  # fmt: skip


def _plain(value: Any) -> Any:
    """Their value as ours: images as arrays of RGB, missing text empty."""
    if hasattr(value, "convert"):
        return np.asarray(value.convert("RGB"))
    return value


def _same(ours: Any, theirs: Any) -> None:
    ours, theirs = _plain(ours), _plain(theirs)
    if isinstance(theirs, np.ndarray):
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(np.int16) - theirs).max() <= 4
    elif isinstance(theirs, tuple):
        for one, other in zip(ours, theirs, strict=True):
            _same(one, other)
    elif isinstance(theirs, float) and math.isnan(theirs):
        # pandas takes some names of places for missing ones.
        assert ours in ("", "NA", "nan", "NULL") or math.isnan(ours)
    else:
        assert ours == theirs


def _compare(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    rows = {processid: n for n, processid in enumerate(theirs.metadata["processid"])}
    assert len(rows) == len(theirs)
    for n, processid in enumerate(ours.metadata["processid"]):
        one, other = ours[n], theirs[rows.pop(processid)]
        if isinstance(other, dict):
            assert list(one) == list(other)
            one, other = tuple(one.values()), tuple(other.values())
        _same(one, other)
    assert not rows


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_item_of_every_split(
    expression: str | None, theirs: Any, their_root: Path, forms: Path, tmp_path: Path
) -> None:
    their = theirs.BIOSCAN5M(str(their_root), split=expression)
    for kind in ("zips", "parquet"):
        _compare(BIOSCAN5M(forms / kind, split=expression, cache_dir=tmp_path), their)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {"modality": COLUMNS, "target_type": ["uri", "order"], "output_format": "dict"},
        {"target_type": RANKS, "target_format": "text"},
        {"modality": "image", "target_type": [], "image_package": "original_256"},
        {"modality": "barcode", "max_nucleotides": 20, "target_type": "genus"},
        {"modality": ["dna"], "dna_transform": len, "target_transform": str},
        {"modality": "dna", "max_nucleotides": None, "output_format": "dictionary"},
    ],
)
def test_every_option(
    kind: str, options: dict[str, Any], theirs: Any, their_root: Path, forms: Path, tmp_path: Path
) -> None:
    their = theirs.BIOSCAN5M(str(their_root), split="all", **options)
    ours = BIOSCAN5M(forms / kind, split="all", cache_dir=tmp_path, **options)
    _compare(ours, their)


def test_arguments_and_attributes_are_theirs(theirs: Any, their_root: Path, forms: Path) -> None:
    wanted = list(inspect.signature(theirs.BIOSCAN5M).parameters.values())
    found = list(inspect.signature(BIOSCAN5M).parameters.values())[: len(wanted)]
    assert [(each.name, each.default) for each in found] == [
        (each.name, each.default) for each in wanted
    ]
    some: tuple[dict[str, Any], ...] = (
        {}, {"split": "validation", "modality": "image", "target_type": "uri"},
        {"modality": ("dna", "country"), "max_nucleotides": 20, "dna_transform": len},
        {"target_type": [], "output_format": "dictionary", "split": None},
    )  # fmt: skip
    names = (
        "split", "modality", "image_package", "reduce_repeated_barcodes", "max_nucleotides",
        "target_type", "target_format", "output_format", "transform", "dna_transform",
        "target_transform",
    )  # fmt: skip
    for options in some:
        their = theirs.BIOSCAN5M(str(their_root), **options)
        ours = BIOSCAN5M(forms / "parquet", **options)
        assert {name: getattr(ours, name) for name in names} == {
            name: getattr(their, name) for name in names
        }
        told = repr(ours).splitlines()
        assert told[:2] == ["Dataset BIOSCAN5M", f"    Number of datapoints: {len(their)}"]
        assert [line.strip() for line in told[3:]] == their.extra_repr().splitlines()
    ours.transform = their.transform = len
    assert "transform: <built-in function len>" in repr(ours)
    assert pickle.loads(pickle.dumps(ours)).transform is len


def test_a_transform_may_be_set_later(forms: Path) -> None:
    data = BIOSCAN5M(forms / "parquet", split="val")
    before = data[0]
    data.transform, data.dna_transform, data.target_transform = (
        lambda image: image.size, len, str,
    )  # fmt: skip
    assert data[0] == (before[0].size, len(before[1]), str(before[2]))
    with pytest.raises(AttributeError):
        data.target_type = ["genus"]


def test_their_root_is_ours(their_root: Path, tmp_path: Path) -> None:
    assert len(BIOSCAN5M(their_root, cache_dir=tmp_path)) > 0


@pytest.mark.parametrize("split", ["train", "val", "all"])
@pytest.mark.parametrize("length", [660, 12, None])
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_unique_barcodes(
    split: str, length: int | None, theirs: Any, their_root: Path, forms: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"split": split, "max_nucleotides": length, "modality": "dna"}
    their = theirs.BIOSCAN5M(str(their_root), reduce_repeated_barcodes=True, **options)
    options |= {"reduce_repeated_barcodes": True, "cache_dir": tmp_path}
    for kind in ("zips", "parquet", "webdataset"):
        ours = BIOSCAN5M(forms / kind, **options)
        assert set(ours.metadata["processid"]) == set(their.metadata["processid"])


def test_a_folder_keeps_each_barcode_once(forms: Path) -> None:
    whole = BIOSCAN5M(forms / "arrow", split="all").metadata["dna_barcode"].str.rstrip("N")
    kept = BIOSCAN5M(forms / "arrow", split="all", reduce_repeated_barcodes=True)
    assert sorted(kept.metadata["dna_barcode"].str.rstrip("N")) == sorted(set(whole))
    assert len(kept) < len(whole)


def test_the_order_of_the_csv_is_checked(forms: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(forms / "parquet", tmp_path / "folder"))
    path = folder / SOURCE_ROWS_NAME
    rows = np.load(path)
    assert sorted(rows[1:]) == list(range(rows[0])) == list(range(80))
    many = rows.copy()
    many[0] = 2**31
    for wrong in (rows[:-1], rows.astype(np.int64), rows // 2, many, np.array(["a"], object)):
        np.save(path, wrong)
        with pytest.raises(MetadataError, match="download or make the folder again"):
            BIOSCAN5M(folder, reduce_repeated_barcodes=True)
    path.write_bytes(b"nothing")
    with pytest.raises(MetadataError):
        BIOSCAN5M(folder, reduce_repeated_barcodes=True)
    path.unlink()
    assert len(BIOSCAN5M(folder, split="all", reduce_repeated_barcodes=True)) > 0


def test_metadata_and_labels(theirs: Any, their_root: Path, forms: Path) -> None:
    their = theirs.BIOSCAN5M(str(their_root), split="seen")
    ours = BIOSCAN5M(forms / "parquet", split="seen")
    assert list(ours.metadata.columns) == list(their.metadata.columns)
    frame = their.metadata.set_index("processid").loc[ours.metadata["processid"]]
    for rank in RANKS:
        assert ours.metadata[f"{rank}_index"].tolist() == frame[f"{rank}_index"].tolist()
        assert list(ours.metadata[rank].cat.categories) == list(frame[rank].cat.categories)
        labels = ours.index2label([0, -1, 0], rank)
        assert labels.tolist() == their.index2label([0, -1, 0], rank).tolist()
        assert ours.index2label(0, rank) == their.index2label(0, rank)
        assert ours.label2index(labels[0], rank) == their.label2index(labels[0], rank) == 0
        assert ours.label2index(labels.tolist(), rank).tolist() == [0, -1, 0]
    assert ours.index2label(torch.tensor(0)) == ours.index2label(np.int64(0))
    assert ours.index2label(torch.tensor(0)) == ours.metadata["species"].cat.categories[0]
    assert ours.index2label(torch.tensor([0, -1]), rank).tolist() == [labels[0], ""]
    assert ours.label2index("") == their.label2index("") == -1
    with pytest.raises(TypeError):
        ours.index2label("x")
    with pytest.raises(TypeError):
        ours.label2index(1)
    with pytest.raises(KeyError):
        ours.label2index("no such species")
    assert torch.equal(RGB_MEAN, theirs.RGB_MEAN)
    assert torch.equal(RGB_STDEV, theirs.RGB_STDEV)


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset"])
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_shuffled_batches_of_workers(kind: str, context: str, forms: Path, tmp_path: Path) -> None:
    if context == "spawn" and kind not in ("zips", "arrow"):
        pytest.skip("a spawned worker differs from a forked one in what is sent, not in the format")
    options: dict[str, Any] = {
        "split": "all", "modality": ("image", "processid", "province_state"),
        "target_type": ("family", "species"), "target_format": "index", "size": 64,
        "center_crop": True, "image_output": "torch", "cache_dir": tmp_path,
    }  # fmt: skip
    data = BIOSCAN5M(forms / kind, **options)
    before = {item[1]: item for item in (data[n] for n in range(len(data)))}
    assert len(pickle.dumps(data)) < 20_000
    # One that is spawned tells what is sent to it; each imports torch anew.
    workers = 2 if context == "fork" else 1
    loader = DataLoader(
        data, batch_size=16, shuffle=True, num_workers=workers, multiprocessing_context=context
    )
    seen = []
    for images, ids, provinces, (families, species) in loader:
        assert images.shape == (len(ids), 3, 64, 64)
        assert images.dtype == torch.uint8
        for n, processid in enumerate(ids):
            image, _, province, targets = before[processid]
            assert torch.equal(images[n], image)
            assert (provinces[n], (families[n], species[n])) == (province, targets)
            seen.append(processid)
    assert sorted(seen) == sorted(before)


@pytest.mark.parametrize("kind", ["zips-http", "parquet-http", "arrow-http", "webdataset-http"])
def test_over_a_network(kind: str, root_of: Any, forms: Path, tmp_path: Path) -> None:
    ours = BIOSCAN5M(root_of(kind), split="val", cache_dir=tmp_path, image_output="numpy")
    local = BIOSCAN5M(forms / "parquet", split="val", image_output="numpy")
    rows = {i: n for n, i in enumerate(local.metadata["processid"])}
    for item, processid in zip(
        ours.__getitems__(range(len(ours))), ours.metadata["processid"], strict=True
    ):
        _same(item, local[rows.pop(processid)])
    assert not rows


def test_pixels_are_those_of_the_decoder(forms: Path) -> None:
    data = BIOSCAN5M(forms / "parquet", split="val", size=48, image_output="numpy")
    sources = {p.stem: p for p in (forms / "unpacked").rglob("*.jpg") if "cropped_256" in p.parts}
    for n, processid in enumerate(data.metadata["processid"]):
        wanted = decode_jpeg(sources[processid].read_bytes(), 48)
        assert np.array_equal(data[n][0], wanted)


def test_what_is_refused(forms: Path, tmp_path: Path) -> None:
    root = forms / "parquet"
    for options in (
        {"modality": "colour"}, {"target_type": "tribe"}, {"target_format": "number"},
        {"output_format": "list"}, {"image_output": "jax"}, {"split": "nothing"},
        {"image_package": "huge"},
    ):  # fmt: skip
        with pytest.raises(UnknownName, match="valid names"):
            BIOSCAN5M(root, **options)  # type: ignore[arg-type]
    wrong: tuple[dict[str, Any], ...] = (
        {"target_type": [], "target_transform": str}, {"center_crop": True}, {"size": 0},
        {"max_nucleotides": 0}, {"split": "train[:10%]"},
    )  # fmt: skip
    for each in wrong:
        with pytest.raises(UsageError):
            BIOSCAN5M(root, **each)
    data = BIOSCAN5M(root, target_type=["family", "genus"])
    with pytest.raises(UsageError, match="name the rank"):
        data.index2label(1)
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError):
            data[index]
    assert data[-1][1:] == data[len(data) - 1][1:]
    with pytest.raises(ReleaseNotFound, match="bioscan5m download"):
        BIOSCAN5M(tmp_path / "nothing", download=True)
