"""Labels, captions and classes in samples, and what clients look up beside them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from datasets import load_dataset as plain_load_dataset

from bioscan5m_hf import get, labels, load_dataset
from bioscan5m_hf.schema.columns import RANKS, column_names
from conversion.folder.manifest import read_manifest
from tests.conftest import Run, make_once

Sample = dict[str, bytes]


@pytest.fixture(scope="module")
def folder(small_release: Path, shared: Path, call: Run) -> Path:
    return make_once(
        shared / "samples-wds",
        lambda root: call(
            *("convert", small_release, "--output", root, "--package", "cropped_256"),
            *("--format", "webdataset", "--captions", "--labels", "family", "--min-shards", "2"),
        ),
    )


def samples(folder: Path, split: str = "*") -> list[Sample]:
    found: dict[str, Sample] = {}
    for path in sorted((folder / "cropped_256").glob(f"{split}-*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                stem, _, ending = member.name.partition(".")
                file = archive.extractfile(member)
                assert file is not None
                found.setdefault(stem, {})[ending] = file.read()
    return list(found.values())


def test_numbers_of_labels_are_those_of_the_vocabularies(folder: Path) -> None:
    every = {rank: labels(folder, rank) for rank in RANKS}
    found = samples(folder)
    assert len(found) == 80
    for sample in found:
        record = json.loads(sample["json"])
        assert list(record) == [*column_names(), *(f"{rank}_label" for rank in RANKS)]
        for rank in RANKS:
            number = every[rank].index(record[rank])
            assert record[f"{rank}_label"] == (-1 if number is None else number)
        assert int(sample["cls"]) == record["family_label"]
    assert {int(sample["cls"]) for sample in found} >= {-1, 0, 1}


def test_captions_tell_the_taxonomy(folder: Path) -> None:
    told = set()
    for sample in samples(folder):
        record = json.loads(sample["json"])
        words = [record[rank] for rank in ("phylum", "class", "order", "family", "genus")]
        species = record["species"]
        if species and record["genus"] and species.startswith(record["genus"] + " "):
            species = species[len(record["genus"]) + 1 :]
        caption = " ".join(filter(None, ("a photo of Animalia", *words, species)))
        assert sample["txt"].decode() == caption
        told.add(caption.count(" "))
    assert len(told) > 2


def test_our_own_loading_shows_upstreams_columns_alone(folder: Path, forms: Path) -> None:
    ours = load_dataset(folder, split="train", streaming=True)
    wanted = load_dataset(forms / "parquet", split="train", streaming=True)
    assert list(next(iter(ours))) == list(next(iter(wanted)))
    row = get(folder, next(iter(ours))["processid"])[0]
    assert list(row) == ["image", *column_names()]
    numbered = load_dataset(folder, split="train", class_labels=["family"])
    assert numbered.features["family"].names == labels(folder, "family").names


def test_plain_datasets_reads_images_and_records(folder: Path, tmp_path: Path) -> None:
    rows = plain_load_dataset(
        str(folder), "cropped_256", split="validation", streaming=True, cache_dir=str(tmp_path)
    )
    wanted = load_dataset(folder, split="val", streaming=True)
    for row, other in zip(rows, wanted, strict=True):
        assert {name: row["json"][name] for name in column_names()} == {
            name: other[name] for name in column_names()
        }


def test_each_split_has_shards_for_two(folder: Path) -> None:
    manifest = read_manifest(folder)
    counts = [(files.rows, len(files.shards)) for files in manifest.splits["cropped_256"].values()]
    assert all(shards == min(2, rows) for rows, shards in counts)
    card = (folder / "README.md").read_text()
    assert "at least 2 shards" in card
    assert "`cropped_256/train-*.tar`" in card
    assert ".txt" in card
    assert ".cls" in card


def test_a_folder_is_proved(folder: Path, small_release: Path, call: Run) -> None:
    call("verify", folder, "--release", small_release, "--images")


def test_other_members_are_told_as_different(
    small_release: Path, tmp_path: Path, call: Run
) -> None:
    words = (
        *("convert", small_release, tmp_path / "out", "--package", "cropped_256"),
        *("--split", "val", "--format", "webdataset"),
    )
    call(*words)
    told = call(*words, "--captions", status=1).stderr
    assert "image and record alone" in told
    assert ".txt (a caption)" in told
    told = call(*words, "--min-shards", "3", status=1).stderr
    assert "has 1 shard, not 3" in told
    call(*words, "--min-shards", "3", "--restart")
    assert len(list((tmp_path / "out" / "cropped_256").glob("*.tar"))) == 3
    told = call("convert", small_release, tmp_path / "other", "--captions", status=2).stderr
    assert "--captions needs --format webdataset" in told


def test_labels_lie_beside_as_text(folder: Path, forms: Path) -> None:
    for root in (folder, forms / "parquet", forms / "arrow"):
        for rank in RANKS:
            path = root / "labels" / f"{rank}.txt"
            assert path.read_text("utf-8").splitlines() == labels(root, rank).names
            assert f"labels/{rank}.txt" in read_manifest(root).extras


def test_what_clients_look_up_tells_every_shard(folder: Path) -> None:
    """What they make of it is told in ``tests/clients``."""
    root = folder / "cropped_256"
    info = json.loads((root / "_info.json").read_text())["splits"]
    sizes = json.loads((root / "sizes.json").read_text())
    for split, files in read_manifest(folder).splits["cropped_256"].items():
        names = [Path(shard.path).name for shard in files.shards]
        index = json.loads((root / f"wids-{split}.json").read_text())
        listed = [(each["url"], each["nsamples"], each["filesize"]) for each in index["shardlist"]]
        held = [(shard.rows, shard.bytes) for shard in files.shards]
        assert listed == [(name, *each) for name, each in zip(names, held, strict=True)]
        assert info[split] == {
            "name": split,
            "num_samples": files.rows,
            "filenames": names,
            "shard_lengths": [sizes[name] for name in names],
        }
