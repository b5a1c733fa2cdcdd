"""Labels, captions and classes in samples, and what clients look up beside them."""

from __future__ import annotations

import json
import subprocess
import sys
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
    assert "`cropped_256/*.tar`" in card
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
    assert "--captions goes with --format webdataset" in told


def test_labels_lie_beside_as_text(folder: Path, forms: Path) -> None:
    for root in (folder, forms / "parquet", forms / "arrow"):
        for rank in RANKS:
            path = root / "labels" / f"{rank}.txt"
            assert path.read_text("utf-8").splitlines() == labels(root, rank).names
            assert f"labels/{rank}.txt" in read_manifest(root).extras


# ------------------------------------------------------------------------------- the clients


def as_timm_reads(root: Path, split: str, target_key: str) -> list[tuple[bytes, int]]:
    """As timm 1.0 documents its ``wds/`` reader; timm itself needs torchvision."""
    info = json.loads((root / "_info.json").read_text())["splits"][split]
    assert info["name"] == split
    assert sum(info["shard_lengths"]) == info["num_samples"]
    found = []
    for name, length in zip(info["filenames"], info["shard_lengths"], strict=True):
        there: dict[str, dict[str, bytes]] = {}
        with tarfile.open(root / name) as archive:
            for member in archive:
                stem, _, ending = member.name.partition(".")
                file = archive.extractfile(member)
                there.setdefault(stem, {})[ending] = file.read() if file else b""
        assert len(there) == length
        for sample in there.values():
            values = json.loads(sample["json"]) | {"cls": sample.get("cls")}
            if (label := int(values[target_key])) >= 0:
                found.append((sample["jpg"], label))
    return found


@pytest.mark.parametrize("target", ["order_label", "species_label", "dna_bin_label", "cls"])
def test_timm_finds_samples_and_classes(target: str, folder: Path) -> None:
    found = as_timm_reads(folder / "cropped_256", "train", target)
    assert found
    rank = "family" if target == "cls" else target.removesuffix("_label")
    classes = (folder / "labels" / f"{rank}.txt").read_text().splitlines()
    rows = {row["processid"]: row for row in load_dataset(folder, "metadata", split="train")}
    named = sorted(row[rank] for row in rows.values() if row[rank])
    assert sorted(classes[label] for _, label in found) == named


OPEN = """
import json, sys
import torch
import webdataset as wds
urls = json.loads(sys.argv[1])
for pair in sys.argv[2:]:
    plain = wds.WebDataset(urls, shardshuffle=False).decode().to_tuple(*pair.split())
    by_workers = torch.utils.data.DataLoader(
        wds.WebDataset(urls, shardshuffle=False).to_tuple(*pair.split()),
        batch_size=None, num_workers=2,
    )
    print(json.dumps([[str(label) for _, label in pairs] for pairs in (plain, by_workers)]))
"""


def test_webdataset_gives_pairs(folder: Path) -> None:
    """Also what OpenCLIP does with ``--dataset-type webdataset``: pairs of image and caption."""
    pytest.importorskip("torch")
    urls = [str(path) for path in sorted((folder / "cropped_256").glob("validation-*.tar"))]
    # One process for all: torch takes seconds to import.
    done = subprocess.run(
        [sys.executable, "-c", OPEN, json.dumps(urls), "jpg cls", "jpg txt"],
        capture_output=True,
        text=True,
        check=True,
    )
    for kind, line in zip(("cls", "txt"), done.stdout.splitlines()[-2:], strict=True):
        wanted = sorted(sample[kind].decode() for sample in samples(folder, "validation"))
        for found in json.loads(line):
            texts = [eval(each).decode() if each.startswith("b'") else each for each in found]
            assert sorted(texts) == wanted


def test_the_index_of_wids_tells_every_shard(folder: Path) -> None:
    """As wids documents its index; its reader has left webdataset."""
    root = folder / "cropped_256"
    for split, files in read_manifest(folder).splits["cropped_256"].items():
        index = json.loads((root / f"wids-{split}.json").read_text())
        assert (index["__kind__"], index["wids_version"]) == ("wids-shard-index-v1", 1)
        assert len(index["shardlist"]) == len(files.shards)
        assert sum(shard["nsamples"] for shard in index["shardlist"]) == files.rows
        for shard in index["shardlist"]:
            assert (root / shard["url"]).stat().st_size == shard["filesize"]
