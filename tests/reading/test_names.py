"""The names that people use, and the errors that list the right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import BioscanError, load_dataset
from bioscan5m_hf.errors import ReleaseNotFound, UnknownName, UsageError
from bioscan5m_hf.schema.columns import SPLITS, split_named
from bioscan5m_hf.schema.configurations import configuration_named
from bioscan5m_hf.schema.split_expressions import parse_split, valid_splits

WHOLE = configuration_named("cropped_256")


def _parsed(text: str, name: str = "cropped_256") -> list[str]:
    return [t.split.name + t.slice for t in parse_split(text, configuration_named(name), SPLITS)]


def test_every_name() -> None:
    assert _parsed("val") == _parsed("validation") == ["val"]
    assert _parsed("seen") == ["train", "val", "test"]
    assert _parsed("unseen") == ["key_unseen", "val_unseen", "test_unseen"]
    assert _parsed("pretrain+train") == ["pretrain", "train"]
    assert _parsed("all") == [split.name for split in SPLITS]
    assert _parsed("all", "cropped_256_train") == ["train"]
    assert _parsed(" train[:10%] + val ") == ["train[:10%]", "val"]
    assert _parsed("train[:50%](pct1_dropremainder)") == ["train[:50%](pct1_dropremainder)"]
    assert _parsed("train[:5]+train[5:]") == ["train[:5]", "train[5:]"]


def test_a_wrong_split_lists_the_right_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean 'pretrain'") as caught:
        _parsed("pretrian")
    for name in ("validation", "val", "seen", "unseen", "all", "other_heldout"):
        assert name in str(caught.value)
    with pytest.raises(UnknownName, match="valid names: train, all"):
        _parsed("val", "cropped_256_train")
    with pytest.raises(UnknownName):
        _parsed("seen", "cropped_256_eval")
    assert "seen" not in valid_splits(configuration_named("cropped_256_eval"))
    assert "unseen" in valid_splits(configuration_named("cropped_256_eval"))


@pytest.mark.parametrize("text", ["", "+", "train+", "train[", "train]", "[:10]", "train+train"])
def test_what_is_no_split(text: str) -> None:
    with pytest.raises(UsageError):
        _parsed(text)


def test_several_splits_are_joined_by_a_plus() -> None:
    with pytest.raises(UsageError, match=r"cannot read the split 'train,val'.*train\+val"):
        _parsed("train,val")


def test_a_split_without_data_is_never_left_out() -> None:
    with pytest.raises(ReleaseNotFound, match=r"no data of the split 'validation'.*train, test"):
        parse_split("seen", WHOLE, [split_named("train"), split_named("test")])


def test_original_is_original_full(release: Path, tmp_path: Path) -> None:
    one = load_dataset(release, "original", split="val", streaming=True, cache_dir=tmp_path)
    two = load_dataset(release, "original_full", split="val", streaming=True, cache_dir=tmp_path)
    assert [r["image"] for r in one.decode(False)] == [r["image"] for r in two.decode(False)]
    assert max(next(iter(one))["image"].size) == 1024


def test_wrong_names_of_other_things(forms: Path, tmp_path: Path) -> None:
    for options, told in (
        ({"name": "croped_256"}, "did you mean 'cropped_256'"),
        ({"columns": ["specis"]}, "did you mean 'species'"),
        ({"class_labels": ["genius"]}, "did you mean 'genus'"),
        ({"on_error": "ignore"}, "stop, skip"),
        ({"columns": []}, "empty"),
        ({"columns": "species"}, "must be a list"),
        ({"class_labels": "species"}, "must be a list"),
        ({"max_nucleotides": 0}, "positive"),
        ({"split": "train[:10%]", "streaming": True}, "slice"),
    ):
        with pytest.raises(UsageError, match=told):
            load_dataset(forms / "parquet", cache_dir=tmp_path, **options)


@pytest.mark.parametrize("option", ["colums", "data_files"])
def test_an_option_that_there_is_not(option: str, forms: Path) -> None:
    with pytest.raises(TypeError, match=option):
        load_dataset(forms / "parquet", **{option: ["species"]})  # type: ignore[call-overload]


def test_lists_and_slices_of_splits(forms: Path, tmp_path: Path) -> None:
    train, val = load_dataset(forms / "parquet", split=["train", "val"], cache_dir=tmp_path)
    both = load_dataset(forms / "parquet", split="train[:2]+val", cache_dir=tmp_path)
    assert list(both["processid"]) == list(train["processid"][:2]) + list(val["processid"])
    assert str(both.split) == "train[:2]+validation"


def test_the_name_alone(
    forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BIOSCAN5M_PATH", raising=False)

    def ids() -> list[str]:
        ds = load_dataset("bioscan-5m", split="val", streaming=True, cache_dir=tmp_path / "cache")
        return [row["processid"] for row in ds.decode(False)]

    with pytest.raises(ReleaseNotFound, match=r"BIOSCAN5M_PATH is not set; .*bioscan5m convert"):
        ids()
    monkeypatch.setenv("BIOSCAN5M_PATH", "bioscan-5m")
    with pytest.raises(ReleaseNotFound):
        ids()
    monkeypatch.setenv("BIOSCAN5M_PATH", str(forms / "parquet"))
    wanted = ids()
    monkeypatch.setenv("BIOSCAN5M_PATH", f"{served.url}/arrow")
    assert ids() == wanted
    (tmp_path / "bioscan-5m").symlink_to(forms / "webdataset")
    monkeypatch.setenv("BIOSCAN5M_PATH", "/nowhere")
    assert ids() == wanted


def test_paths_that_lead_nowhere(forms: Path, tmp_path: Path) -> None:
    for path, told in (
        (tmp_path / "nowhere", "no such folder"),
        (forms / "parquet" / "README.md", "is neither a folder nor"),
        (tmp_path, "no images"),
    ):
        with pytest.raises(BioscanError, match=told):
            load_dataset(path)


def test_a_folder_without_its_manifest(forms: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for name in ("cropped_256", "metadata"):
        (tmp_path / "bare" / name).symlink_to(forms / "webdataset" / name)
    bare = load_dataset(tmp_path / "bare", split="val", streaming=True, class_labels=["genus"])
    whole = load_dataset(forms / "parquet", split="val", streaming=True, class_labels=["genus"])
    assert list(bare.decode(False)) == list(whole.decode(False))
    with pytest.raises(ReleaseNotFound, match="it has cropped_256, metadata"):
        load_dataset(tmp_path / "bare", "original_256")


def test_a_folder_that_lacks_a_shard(forms: Path, tmp_path: Path) -> None:
    (tmp_path / "bare" / "cropped_256").mkdir(parents=True)
    shards = sorted((forms / "parquet" / "cropped_256").glob("pretrain-*"))
    assert len(shards) > 1
    for shard in shards[1:]:
        (tmp_path / "bare" / "cropped_256" / shard.name).symlink_to(shard)
    with pytest.raises(BioscanError, match="shards of cropped_256/pretrain are there"):
        load_dataset(tmp_path / "bare")
