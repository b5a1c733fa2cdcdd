"""Arrow shards are opened where they lie."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.errors import ArchiveError
from tests.reading.conftest import plain


def _mapped_files() -> set[str]:
    with Path("/proc/self/maps").open() as maps:
        return {line.split()[-1] for line in maps if line.rstrip().endswith(".arrow")}


def test_nothing_is_copied(forms: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ds = load_dataset(forms / "arrow", split="pretrain+train", cache_dir=cache)
    assert len(ds) > 10
    shards = sorted((forms / "arrow" / "cropped_256").glob("*train-*"))
    assert {os.path.realpath(path) for path in shards} <= _mapped_files()
    assert not [path for path in cache.rglob("*.arrow") if not path.is_symlink()]


def test_the_same_rows_as_prepared(forms: Path, tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {"split": "all"},
        {"split": "pretrain[5:20]+val"},
        {"split": "train", "where": [("order", "==", "Diptera")]},
        {"split": "pretrain[:50%]", "where": [("order", "==", "Diptera")]},
        {"split": "all", "class_labels": ["order", "species"]},
        {"split": "all", "class_labels": ["species"], "columns": ["species"]},
        {"split": "all", "unique_barcodes": True, "columns": ["processid", "image"]},
        {"split": "test", "max_nucleotides": 100},
        {"name": "metadata", "split": "all", "class_labels": ["dna_bin"]},
    ]
    for each in options:
        mapped = load_dataset(forms / "arrow", cache_dir=tmp_path, **each)
        prepared = load_dataset(forms / "parquet", cache_dir=tmp_path, **each)
        assert mapped.features == prepared.features
        assert plain(mapped) == plain(prepared)
        assert str(mapped.split) == str(prepared.split)


def test_workers_map_the_same_files(forms: Path, tmp_path: Path) -> None:
    ds = load_dataset(forms / "arrow", split="pretrain", class_labels=["order"], cache_dir=tmp_path)
    for part in (ds, ds.select(range(3, 9)), ds.remove_columns("image"), ds.shuffle(seed=1)):
        sent = pickle.dumps(part)
        assert len(sent) < 100_000
        assert pickle.loads(sent)["processid"][:] == part["processid"][:]
    lengths = ds.select(range(10)).map(
        lambda row: {"length": len(row["dna_barcode"])}, num_proc=2, load_from_cache_file=False
    )
    assert lengths["length"][:] == [len(text) for text in ds["dna_barcode"][:10]]
    assert ds[0]["image"].size
    kept = tmp_path / "kept"
    ds.select_columns(["processid", "order"]).save_to_disk(kept)


def test_a_damaged_shard(tmp_path: Path) -> None:
    folder = tmp_path / "damaged" / "cropped_256"
    folder.mkdir(parents=True)
    (folder / "train-00000-of-00001.arrow").write_bytes(b"ARROW1 and nothing else")
    with pytest.raises(ArchiveError, match="cannot be mapped"):
        load_dataset(tmp_path / "damaged", split="train")
