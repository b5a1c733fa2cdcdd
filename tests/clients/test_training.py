"""timm, OpenCLIP, webdataset, wids and LitData train on converted folders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

Rows = dict[str, list[dict[str, Any]]]

SPLITS = ("train", "validation", "test_unseen")


def train_a_batch(batches: Any, classes: int) -> None:
    """One step of a small network of timm's: the loss is a number and has gradients."""
    import timm
    import torch

    images, labels = next(iter(batches))
    model = timm.create_model("resnet10t", num_classes=classes)
    loss: Any = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    assert torch.isfinite(loss)
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(each is not None and torch.isfinite(each).all() for each in gradients)


@pytest.mark.parametrize("rank", ["species", "family", "dna_bin"])
@pytest.mark.parametrize("split", SPLITS)
def test_timm_wds(split: str, rank: str, tars: Path, rows: Rows) -> None:
    pytest.importorskip("timm")
    from timm.data import create_dataset, create_loader

    given = create_dataset(
        "wds/",
        root=str(tars / "cropped_256"),
        split=split,
        target_key=f"{rank}_label",
        batch_size=8,
    )
    assert len(given) == len(rows[split])
    classes = (tars / "labels" / f"{rank}.txt").read_text("utf-8").splitlines()
    labels = Counter(classes[label] for _, label in given)
    # A specimen without a label is passed over.
    assert labels == Counter(row[rank] for row in rows[split] if row[rank])
    train_a_batch(
        create_loader(given, (3, 64, 64), 8, use_prefetcher=False, num_workers=2), len(classes)
    )


def test_timm_wds_takes_the_classes_beside_the_images(tars: Path, rows: Rows) -> None:
    pytest.importorskip("timm")
    from timm.data import create_dataset

    given = create_dataset("wds/", root=str(tars / "cropped_256"), split="validation")
    classes = (tars / "labels" / "family.txt").read_text("utf-8").splitlines()
    labels = Counter(classes[label] if label >= 0 else None for _, label in given)
    assert labels == Counter(row["family"] for row in rows["validation"])


@pytest.mark.parametrize("reader", ["hfds", "hfids"])
def test_timm_reads_a_folder_of_parquet(
    reader: str, parquet: Path, rows: Rows, tmp_path: Path
) -> None:
    pytest.importorskip("timm")
    from timm.data import create_dataset, create_loader

    given = create_dataset(
        f"{reader}/{parquet}",
        root=str(tmp_path),
        split="train",
        class_map=str(parquet / "labels" / "class.txt"),
        target_key="class",
        input_key="image",
        num_samples=len(rows["train"]),
    )
    classes = (parquet / "labels" / "class.txt").read_text("utf-8").splitlines()
    labels = Counter(classes[label] for _, label in given)
    assert labels == Counter(row["class"] for row in rows["train"])
    train_a_batch(
        create_loader(given, (3, 64, 64), 8, use_prefetcher=False, num_workers=2), len(classes)
    )


@pytest.mark.parametrize("split", SPLITS)
def test_openclip_sees_every_sample(split: str, tars: Path, rows: Rows) -> None:
    pytest.importorskip("open_clip_train")
    if Version(version("webdataset")) > Version("0.2.86"):
        pytest.skip("open_clip_torch[training] asks for webdataset<=0.2.86")
    import torch
    from open_clip_train.data import get_data

    shards = f"{tars}/cropped_256/{split}-{{00000..00003}}-of-00004.tar"
    count = len(rows[split])
    told: dict[str, Any] = {
        "train_data": shards, "val_data": shards, "dataset_type": "webdataset", "workers": 2,
        "batch_size": 1, "world_size": 1, "seed": 0, "train_num_samples": None,
        "val_num_samples": count, "train_data_upsampling_factors": None, "imagenet_val": None,
        "imagenet_v2": None,
    }  # fmt: skip

    def size(image: Any) -> torch.Tensor:
        return torch.tensor(image.size)

    def tokens(text: str) -> torch.Tensor:
        return torch.tensor([list(text.encode().ljust(300))])

    data = get_data(Namespace(**told), (size, size), tokenizer=tokens)
    # Without --train-num-samples it asks sizes.json.
    assert data["train"].dataloader.num_samples in range(count, count + 2)
    captions = [
        bytes(each).decode().rstrip()
        for _, texts in data["val"].dataloader
        for each in texts.tolist()
    ]
    wanted = []
    for row in rows[split]:
        known = ["phylum", "class", "order", "family", "genus"]
        parts = ["a photo of Animalia", *(row[rank] for rank in known if row[rank])]
        if row["species"]:
            parts.append(row["species"].removeprefix(f"{row['genus']} "))
        wanted.append(" ".join(parts))
    assert sorted(captions) == sorted(wanted)
    assert len([image for image, _ in data["train"].dataloader]) >= count


@pytest.mark.parametrize("workers", [0, 2])
def test_webdataset_gives_pairs(workers: int, tars: Path, rows: Rows) -> None:
    pytest.importorskip("torch")
    webdataset = pytest.importorskip("webdataset")

    shards = sorted(map(str, (tars / "cropped_256").glob("validation-*.tar")))
    pairs = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg", "cls")
    loader = webdataset.WebLoader(pairs, batch_size=None, num_workers=workers)
    found = list(loader)
    assert {image.mode for image, _ in found} == {"RGB"}
    classes = (tars / "labels" / "family.txt").read_text("utf-8").splitlines()
    labels = Counter(classes[label] if label >= 0 else None for _, label in found)
    assert labels == Counter(row["family"] for row in rows["validation"])


@pytest.mark.parametrize("split", SPLITS)
def test_wids_reads_any_sample(split: str, tars: Path, rows: Rows) -> None:
    wids = pytest.importorskip("wids")

    given = wids.ShardListDataset(str(tars / "cropped_256" / f"wids-{split}.json"), keep=True)
    assert len(given) == len(rows[split])
    keys = [given[number]["__key__"] for number in reversed(range(len(given)))]
    assert keys[::-1] == [row["processid"] for row in rows[split]]
    sample = given[len(given) // 2]
    assert sample[".jpg"].size > (0, 0)
    assert sample[".json"]["processid"] == sample["__key__"]


LITDATA = """
import json, sys
from litdata import StreamingDataLoader, StreamingDataset, index_parquet_dataset
from litdata.streaming.item_loader import ParquetLoader

def names(batch):
    return [row["processid"] for row in batch]

if __name__ == "__main__":
    folder, work = sys.argv[1:]
    index_parquet_dataset(folder, cache_dir=work, num_workers=1)
    rows = StreamingDataset(folder, item_loader=ParquetLoader(), index_path=work, shuffle=True)
    found = [[row["processid"], len(row["image"]["bytes"])] for row in rows]
    batches = StreamingDataLoader(
        rows, batch_size=8, num_workers=2, collate_fn=names, multiprocessing_context="spawn"
    )
    print(json.dumps([len(rows), found, [name for batch in batches for name in batch]]))
"""


def test_litdata_indexes_a_configuration(parquet: Path, rows: Rows, tmp_path: Path) -> None:
    pytest.importorskip("litdata")
    # A process of its own: it watches its workers with threads that do not end.
    script = tmp_path / "litdata_reads.py"
    script.write_text(LITDATA)
    (tmp_path / "index").mkdir()
    # It may write its index beside the shards, where other clients read them.
    folder = shutil.copytree(parquet / "cropped_256", tmp_path / "cropped_256")
    done = subprocess.run(
        [sys.executable, script, folder, tmp_path / "index"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    count, found, loaded = json.loads(done.stdout.splitlines()[-1])
    wanted = sorted(row["processid"] for split in rows.values() for row in split)
    assert count == len(wanted)
    assert sorted(name for name, _ in found) == wanted
    assert sorted(loaded) == wanted
    assert all(length > 100 for _, length in found)
