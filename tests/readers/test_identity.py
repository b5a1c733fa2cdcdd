"""Rows are those of the data as they are now, whatever was loaded before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from bioscan5m_hf import Bioscan5M, load_dataset
from bioscan5m_hf.query.filters import canonical_where
from bioscan5m_hf.storage.identity import digest_of, file_identity, tree_identity
from tests.conftest import Run
from tests.reading.range_server import serve

KINDS = ("zips", "unpacked", "parquet", "arrow", "webdataset")
SMALL = ("--package", "cropped_256", "--tiny", "--quiet")


def test_a_file_is_another_one_after_any_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(10**18, 10**18))
    seen = {file_identity(path)}
    path.write_bytes(b"two")
    os.utime(path, ns=(10**18, 10**18))
    seen.add(file_identity(path))
    path.unlink()
    path.write_bytes(b"two")
    seen.add(file_identity(path))
    assert len(seen) == 3
    assert digest_of("a", "b") != digest_of("ab")


def test_a_tree_is_another_one_after_any_change(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "a.jpg").write_bytes(b"a")
    seen = [tree_identity(tmp_path)]
    assert tree_identity(tmp_path) == seen[0]
    (tmp_path / "0" / "b.jpg").write_bytes(b"b")
    seen.append(tree_identity(tmp_path))
    (tmp_path / "0" / "b.jpg").write_bytes(b"c")
    seen.append(tree_identity(tmp_path))
    (tmp_path / "0" / "b.jpg").rename(tmp_path / "0" / "c.jpg")
    seen.append(tree_identity(tmp_path))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_were_replaced_under_one_path(
    kind: str, forms: Path, tmp_path: Path, call: Run
) -> None:
    path = tmp_path / "data"
    shutil.copytree(forms / kind, path)
    first = load_dataset(path, "metadata", split="val")["processid"]
    assert builder_rows(path) == first
    shutil.rmtree(path)
    other = tmp_path / "other"
    call("sample", other, "-n", "60", "--seed", "9", *SMALL)
    if kind in ("zips", "unpacked"):
        other.rename(path)
    else:
        call("convert", other, "--output", path, "--format", kind, "--quiet")
    second = load_dataset(path, "metadata", split="val")["processid"]
    assert not set(first) & set(second)
    assert builder_rows(path) == second


def builder_rows(path: Path) -> list[str]:
    builder = Bioscan5M(config_name="metadata", data_dir=os.path.relpath(path))
    builder.download_and_prepare()
    rows: list[str] = builder.as_dataset(split="validation")["processid"]
    return list(rows)


@pytest.mark.parametrize("form", ["parquet", "arrow", "webdataset"])
def test_plain_datasets_on_folders_of_one_name(form: str, tmp_path: Path, call: Run) -> None:
    found = []
    for seed in (1, 2):
        release, folder = tmp_path / f"release{seed}", tmp_path / str(seed) / "bioscan-5m"
        call("sample", release, "-n", "60", "--seed", seed, *SMALL)
        call("convert", release, "--output", folder, "--format", form, "--quiet")
        rows = datasets.load_dataset(str(folder), "cropped_256", split="validation")
        found.append(set(rows["__key__" if form == "webdataset" else "processid"]))
    assert found[0]
    assert not found[0] & found[1]


def test_a_shard_behind_a_url_that_changed_under_its_manifest(forms: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(forms / "parquet", tmp_path / "folder")
    with serve(folder) as served:
        before = list(load_dataset(served.url, "cropped_256", split="val")["processid"])
        [old] = (folder / "cropped_256").glob("validation-*")
        shutil.copy(min((folder / "cropped_256").glob("test-0*")), old)
        after = list(load_dataset(served.url, "cropped_256", split="val")["processid"])
        assert not set(before) & set(after)


def test_a_shard_that_changed_under_its_manifest(forms: Path, tmp_path: Path) -> None:
    for kind in ("parquet", "arrow"):
        folder = shutil.copytree(forms / kind, tmp_path / kind)
        before = list(load_dataset(folder, "cropped_256", split="val")["processid"])
        [old] = (folder / "cropped_256").glob("validation-*")
        other = min((folder / "cropped_256").glob("test-0*"))
        # Another file, since the old one is mapped into memory.
        shutil.copy(other, tmp_path / "new")
        (tmp_path / "new").replace(old)
        assert list(load_dataset(folder, "cropped_256", split="val")["processid"]) != before


SAME: list[list[Any]] = [
    [("family", "in", {"a", "b"}), [("family", "in", ["b", "a"])], [["family", "in", ("a", "b")]]],
    [("order", "=", "A"), ("order", "==", "A"), [["order", "==", "A"]], [[("order", "=", "A")]]],
    [("coord-lat", ">", 5), ("coord-lat", ">", 5.0)],
    [
        [("order", "==", "A"), ("genus", "==", "B")],
        [("genus", "==", "B"), ("order", "==", "A")],
        [[("genus", "==", "B"), ("order", "==", "A")]],
    ],
    [
        [[("order", "==", "A")], [("genus", "==", "B")]],
        [[("genus", "==", "B")], [("order", "==", "A")]],
    ],
]


@pytest.mark.parametrize("forms_of_one", SAME)
def test_conditions_that_mean_the_same_are_the_same(forms_of_one: list[Any]) -> None:
    assert len({canonical_where(where) for where in forms_of_one}) == 1


def test_conditions_that_mean_something_else_are_others() -> None:
    firsts = [canonical_where(group[0]) for group in SAME]
    assert len(set(firsts)) == len(firsts)
    assert canonical_where(("family", "==", "1")) != canonical_where(("family", "==", "2"))
    assert canonical_where(None) is canonical_where([]) is None


def test_equal_options_make_one_copy_in_every_process(forms: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from bioscan5m_hf import load_dataset; "
        "load_dataset(sys.argv[1], 'metadata', split='train', cache_dir=sys.argv[2], "
        "where=[('order', 'in', set(sys.argv[3:]))], columns=['order', 'processid'])"
    )
    for values in (["Diptera", "Coleoptera"], ["Coleoptera", "Diptera"]):
        words: list[str | Path] = [sys.executable, "-c", code, forms / "parquet", tmp_path, *values]
        subprocess.run(words, check=True, capture_output=True)
    load_dataset(
        forms / "parquet", "metadata", split="train", cache_dir=str(tmp_path),
        where=("order", "in", ["Diptera", "Coleoptera"]), columns=("processid", "order"),
    )  # fmt: skip
    assert len(list(tmp_path.rglob("dataset_info.json"))) == 1


def test_what_datasets_makes_of_a_mapped_folder_lies_in_the_cache(
    forms: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(forms / "arrow", tmp_path / "arrow"))
    before = sorted(folder.rglob("*"))
    rows = load_dataset(folder, "cropped_256", split="pretrain", cache_dir=str(tmp_path / "cache"))
    for made in (
        rows.shuffle(seed=1),
        rows.filter(lambda order: order == "Diptera", input_columns="order"),
        rows.select_columns(["processid"]).map(lambda row: row, num_proc=2),
        rows.train_test_split(test_size=0.5, seed=1)["train"],
    ):
        assert made.num_rows
    assert sorted(folder.rglob("*")) == before
    with pytest.raises(PermissionError):
        rows.save_to_disk(str(folder / "cropped_256"))


def test_a_relative_path_means_the_same_after_chdir(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(forms / "parquet", tmp_path / "run:1")
    monkeypatch.chdir(tmp_path)
    streamed = load_dataset("run:1", "cropped_256", split="val", streaming=True)
    monkeypatch.chdir("/")
    assert sum(1 for _ in streamed) == load_dataset(tmp_path / "run:1", split="val").num_rows
