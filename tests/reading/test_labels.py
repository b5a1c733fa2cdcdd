"""Vocabularies, and their numbers in the package that people have used so far."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf import labels, load_dataset
from bioscan5m_hf.errors import MetadataError, UnknownName
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.vocabularies import Vocabulary, VocabularyCounter, from_parquet, to_parquet
from tests.independent import read_rows
from tests.reading.conftest import Rows

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"


class _Stub(types.ModuleType):
    """Whatever a module takes from torch while it is imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})


def _theirs() -> Any:
    """The module of ``bioscan-dataset`` that reads the metadata; torch is not needed for that."""
    spec = importlib.util.find_spec("bioscan_dataset")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("bioscan-dataset is not installed")
    path = Path(spec.submodule_search_locations[0]) / "bioscan5m.py"
    names = ("torch", "torchvision", "torchvision.datasets", "torchvision.datasets.utils",
             "torchvision.datasets.vision")  # fmt: skip
    stubs = {
        name: _Stub(name)
        for name in names
        if importlib.util.find_spec(name.partition(".")[0]) is None
    }
    sys.modules.update(stubs)
    try:
        made = importlib.util.spec_from_file_location("their_bioscan5m", path)
        assert made is not None
        assert made.loader is not None
        module = importlib.util.module_from_spec(made)
        made.loader.exec_module(module)
    finally:
        for name in stubs:
            del sys.modules[name]
    return module


@pytest.fixture(scope="module")
def frame(release: Path) -> Any:
    """The metadata of a release, as ``bioscan-dataset`` reads them."""
    return _theirs().load_bioscan5m_metadata(release / CSV, max_nucleotides=None)


@pytest.mark.parametrize("rank", RANKS)
def test_every_index_is_that_of_bioscan_dataset(
    rank: str, frame: Any, release: Path, converted: Path, tmp_path: Path
) -> None:
    theirs = dict(zip(frame["processid"], frame[f"{rank}_index"], strict=True))
    assert -1 in set(theirs.values()) or rank in ("phylum", "dna_bin", "class")
    for path in (release, converted):
        ds = load_dataset(
            path, "metadata", split="all", class_labels=[rank], streaming=True,
            columns=["processid", rank], cache_dir=tmp_path,
        )  # fmt: skip
        assert {row["processid"]: row[rank] for row in ds} == theirs
        vocabulary = labels(path, rank, cache_dir=tmp_path)
        assert vocabulary.names == list(frame[rank].cat.categories)
        assert ds.features[rank].names == vocabulary.names


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset", "parquet-http"])
def test_counts(
    kind: str, root_of: Any, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    for rank in RANKS:
        vocabulary = labels(root_of(kind), rank, cache_dir=tmp_path)
        for split in SPLITS:
            values = [row[rank] for row in truth[None][split.published]]
            counted = vocabulary.counts[split.name].tolist()
            assert counted == [values.count(name) for name in vocabulary.names]


def test_a_folder_of_an_earlier_version(forms: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("manifest.json", "metadata", "cropped_256"):
        (old / name).symlink_to(forms / "parquet" / name)
    for rank in RANKS:
        found, wanted = labels(old, rank), labels(forms / "parquet", rank)
        assert found.names == wanted.names
        assert {k: v.tolist() for k, v in found.counts.items()} == {
            k: v.tolist() for k, v in wanted.counts.items()
        }


def test_names_stand_in_no_file_of_the_cache(forms: Path, tmp_path: Path) -> None:
    ds = load_dataset(
        forms / "parquet", split="all", class_labels=["dna_bin"], columns=["dna_bin"],
        cache_dir=tmp_path,
    )  # fmt: skip
    name = ds.features["dna_bin"].names[0].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".arrow" for path in files)
    assert not any(name in path.read_bytes() for path in files)


def test_a_vocabulary_knows_its_values() -> None:
    counter = VocabularyCounter()
    values = ["b", None, "NA", "é", "a", "b", "Z"]
    columns = {
        rank: pa.array(values if rank == "genus" else [None] * 7, pa.string()) for rank in RANKS
    }
    splits = pa.array(["train", "train", "val", "val", "test", "val", "train"])
    counter.add(pa.record_batch({**columns, "split": splits}))
    made = counter.vocabularies()
    genus = from_parquet(to_parquet(made), "genus", "here")
    assert genus.names == sorted({v for v in values if v is not None})
    assert len(genus) == 5
    assert [genus.index(v) for v in values] == [3, None, 0, 4, 2, 3, 1]
    assert genus.encode(pa.array(values)).to_pylist() == [3, -1, 0, 4, 2, 3, 1]
    assert genus.counts["val"].tolist() == [1, 0, 0, 1, 1]
    assert to_parquet(made) == to_parquet(made)
    assert len(from_parquet(to_parquet(made), "species", "here")) == 0
    with pytest.raises(UnknownName, match="no genus 'bb'"):
        genus.index("bb")
    with pytest.raises(MetadataError, match="'bb' is not in the vocabulary"):
        genus.encode(pa.array(["a", "bb"]))
    with pytest.raises(MetadataError, match="cannot be read as vocabularies"):
        from_parquet(b"nothing", "genus", "here")
    with pytest.raises(UnknownName, match="did you mean 'genus'"):
        from_parquet(to_parquet(made), "genius", "here")


def test_many_values(tmp_path: Path) -> None:
    names = [f"BOLD:{number:07}" for number in range(324_411)]
    counts = {split.name: pa.array([1] * len(names)).to_numpy() for split in SPLITS}
    data = to_parquet(
        [
            Vocabulary(
                rank,
                names if rank == "dna_bin" else [],
                counts if rank == "dna_bin" else dict.fromkeys(counts, counts["val"][:0]),
            )
            for rank in RANKS
        ]
    )
    assert len(data) < 4_000_000
    (tmp_path / "v.parquet").write_bytes(data)
    assert pq.ParquetFile(tmp_path / "v.parquet").num_row_groups >= 1
    assert from_parquet(data, "dna_bin", "here").index("BOLD:0324410") == 324_410


def test_the_converter_lists_its_vocabularies(converted: Path, release: Path, call: Any) -> None:
    assert "vocabularies.parquet" in (converted / "manifest.json").read_text()
    call("verify", converted)
    rows = read_rows(release / CSV)
    assert labels(converted, "family").names == sorted(
        {str(row["family"]) for row in rows if row["family"] is not None}
    )
