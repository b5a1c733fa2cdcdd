"""Sizes that upstream has not, by their names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import Bioscan5M, load_dataset
from bioscan5m_hf.errors import ReleaseNotFound, UnknownName
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.reading.conftest import plain

FORMATS = ("parquet", "arrow", "webdataset")


@pytest.fixture(scope="module")
def sizes(shared: Path, call: Run) -> Path:
    """A package of 96 pixels in every format, and the originals that it was made from."""

    def make(root: Path) -> None:
        options = SampleOptions(
            root / "release", 40, seed=6, workers=1, distinct=4, packages=("original_full",)
        )
        write_sample(options)
        for form in FORMATS:
            call(
                "convert", root / "release", "--output", root / form, "--format", form, "--derive",
                "--package", "cropped", "--short-side", "96", "--quiet",
            )  # fmt: skip

    (shared / "sizes").mkdir(exist_ok=True)
    return make_once(shared / "sizes", make)


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
def test_a_derived_size_loads_by_its_name(streaming: bool, sizes: Path, tmp_path: Path) -> None:
    found = [
        load_dataset(sizes / form, "cropped_96", streaming=streaming, cache_dir=tmp_path)
        for form in FORMATS
    ]
    assert len(found[0]) == 8
    for split, rows in found[0].items():
        assert min(next(iter(rows))["image"].size) == 96
        wanted = plain(rows)
        assert {row["split"] for row in wanted} == {split.replace("validation", "val")}
        assert all(plain(other[split]) == wanted for other in found[1:])
        for form in FORMATS:
            partition = split if split in ("pretrain", "train") else "eval"
            name = f"cropped_96_{partition}"
            part = load_dataset(
                sizes / form, name, split=split, streaming=streaming, cache_dir=tmp_path,
                where=("inferred_ranks", ">=", 0), class_labels=["order"],
            )  # fmt: skip
            assert [row["image"] for row in plain(part)] == [row["image"] for row in wanted]
            if not streaming and form == "parquet":
                assert part.info.config_name == name


def test_wrong_names_list_what_the_folder_holds(sizes: Path, tmp_path: Path) -> None:
    for form in FORMATS:
        with pytest.raises(UnknownName, match="did you mean 'cropped_96'") as caught:
            load_dataset(sizes / form, "cropped_69", cache_dir=tmp_path)
        listed = str(caught.value).partition("valid names: ")[2].split(", ")
        ends = ("", "_pretrain", "_train", "_eval")
        assert listed == [*(f"cropped_96{end}" for end in ends), "metadata"]
        with pytest.raises(UnknownName, match="did you mean 'cropped_96_train'"):
            load_dataset(sizes / form, "cropped_96_trian", cache_dir=tmp_path)
        with pytest.raises(ReleaseNotFound, match=r"does not have cropped_256; it has cropped_96"):
            load_dataset(sizes / form, "cropped_256", cache_dir=tmp_path)
    with pytest.raises(UnknownName, match=r"valid names: original_full, .*_eval, metadata$"):
        load_dataset(sizes / "release", "cropped_96", cache_dir=tmp_path)
    with pytest.raises(ReleaseNotFound, match="packages found: original_full"):
        load_dataset(sizes / "release", "cropped_256", cache_dir=tmp_path)


def test_the_builder_knows_the_sizes_of_its_folder(sizes: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"data_dir": str(sizes / "parquet"), "cache_dir": str(tmp_path)}
    builder = Bioscan5M(config_name="cropped_96_train", **options)
    assert [split.published for split in builder.served_splits] == ["train"]
    builder.download_and_prepare(num_proc=2)
    rows = builder.as_dataset(split="train")
    assert plain(rows) == plain(pickle.loads(pickle.dumps(builder)).as_dataset(split="train"))
    assert "cropped_96_train" not in Bioscan5M.builder_configs
    with pytest.raises(UnknownName, match="cropped_96_eval"):
        Bioscan5M(config_name="cropped_97", **options)
