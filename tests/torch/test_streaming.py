"""The streaming twin, and the decoder for datasets of ``datasets``."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from bioscan5m_hf import load_dataset
from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.jpeg import decode_jpeg
from bioscan5m_hf.torch import BIOSCAN5M, BIOSCAN5MStream, with_decoder

OPTIONS: dict[str, Any] = {
    "split": "all", "modality": ("image", "processid"), "size": 32, "center_crop": True,
    "image_output": "torch",
}  # fmt: skip


def _ids(items: Any) -> list[str]:
    return [item[1] for item in items]


def test_the_same_arguments() -> None:
    def defaults(kind: Any) -> dict[str, Any]:
        return {name: p.default for name, p in inspect.signature(kind).parameters.items()}

    own = {"shuffle": False, "seed": 0, "rank": None, "world_size": None}
    assert defaults(BIOSCAN5MStream) == defaults(BIOSCAN5M) | own


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset"])
def test_the_same_items(kind: str, forms: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "cache_dir": tmp_path}
    every = BIOSCAN5M(forms / kind, **options)
    wanted = {item[1]: item for item in map(every.__getitem__, range(len(every)))}
    found = list(BIOSCAN5MStream(forms / kind, **options))
    assert len(found) == len(wanted)
    for image, processid, species in found:
        assert torch.equal(image, wanted[processid][0])
        assert species == wanted[processid][2]


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_ranks_and_workers_share_the_specimens(world_size: int, forms: Path) -> None:
    seen: list[str] = []
    for rank in range(world_size):
        stream = BIOSCAN5MStream(
            forms / "parquet", rank=rank, world_size=world_size, shuffle=True, **OPTIONS
        )
        for _, ids, _ in DataLoader(stream, batch_size=8, num_workers=2):
            seen += ids
    assert sorted(seen) == sorted(_ids(BIOSCAN5M(forms / "parquet", **OPTIONS)))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_state_continues_behind_its_item(kind: str, shuffle: bool, forms: Path) -> None:
    def made() -> BIOSCAN5MStream:
        return BIOSCAN5MStream(forms / kind, shuffle=shuffle, seed=3, **OPTIONS)

    first = made()
    first.set_epoch(2)
    whole = _ids(first)
    for stop in (0, 1, 7, 40, len(whole)):
        begun = made()
        begun.set_epoch(2)
        items = iter(begun)
        taken = _ids(next(items) for _ in range(stop))
        again = made()
        again.load_state_dict(begun.state_dict())
        assert taken + _ids(again) == whole
    other = made()
    other.set_epoch(3)
    assert (_ids(other) != whole) == shuffle
    with pytest.raises(UsageError, match="as many ranks"):
        BIOSCAN5MStream(forms / kind, rank=0, world_size=2, **OPTIONS).load_state_dict(
            first.state_dict()
        )
    with pytest.raises(UsageError, match="rank 2"):
        BIOSCAN5MStream(forms / kind, rank=2, world_size=2, **OPTIONS)


def test_each_iteration_starts_at_the_beginning(forms: Path) -> None:
    stream = BIOSCAN5MStream(forms / "parquet", shuffle=True, seed=3, **OPTIONS)
    whole = _ids(stream)
    for stop in (1, 40):
        assert _ids(itertools.islice(stream, stop)) == whole[:stop]
        state = stream.state_dict()
        assert _ids(stream) == whole
        # A state holds for one iteration, and can be asked for before it.
        stream.load_state_dict(state)
        assert stream.state_dict() == state
        assert _ids(stream) == whole[stop:]
        assert _ids(stream) == whole
        stream.load_state_dict(state)
        stream.set_epoch(0)
        assert _ids(stream) == whole
    for workers in (0, 1):
        loader = DataLoader(
            stream, batch_size=8, num_workers=workers, persistent_workers=workers > 0
        )
        for _ in range(2):
            assert list(next(iter(loader))[1]) == whole[:8]
        assert [name for _, ids, _ in loader for name in ids] == whole


def test_the_decoder_for_datasets(forms: Path, tmp_path: Path) -> None:
    columns = ["image", "processid", "species", "subfamily"]
    ds = load_dataset(forms / "parquet", split="all", columns=columns, cache_dir=tmp_path)
    sources = {p.stem: p for p in (forms / "unpacked").rglob("*.jpg") if "cropped_256" in p.parts}
    assert None in ds["subfamily"]
    count = 0
    for batch in DataLoader(with_decoder(ds, 32, center_crop=True), batch_size=16, shuffle=True):
        assert batch["image"].shape[1:] == (3, 32, 32)
        for image, processid in zip(batch["image"], batch["processid"], strict=True):
            wanted = decode_jpeg(sources[processid].read_bytes(), 32, square=True)
            assert np.array_equal(image.permute(1, 2, 0).numpy(), wanted)
            count += 1
    assert count == len(ds)
