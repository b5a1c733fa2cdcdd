"""Batches in memory that workers lend: they stay what they are while anybody holds them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, default_collate, get_worker_info

from bioscan5m_hf import load_dataset
from bioscan5m_hf.torch import BIOSCAN5M, BIOSCAN5MStream, with_decoder
from bioscan5m_hf.torch.batch import WorkerImage
from bioscan5m_hf.torch.lent import LentBatch, _memories

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")

OPTIONS: dict[str, Any] = {
    "split": "all", "modality": ("image", "processid"), "size": 48, "center_crop": True,
    "image_output": "torch",
}  # fmt: skip


@pytest.fixture(scope="module")
def data(forms: Path) -> BIOSCAN5M:
    return BIOSCAN5M(forms / "parquet", **OPTIONS)


@pytest.fixture(scope="module")
def wanted(data: BIOSCAN5M) -> dict[str, torch.Tensor]:
    images = {item[1]: item[0] for item in map(data.__getitem__, range(len(data)))}
    assert all(type(image) is torch.Tensor for image in images.values())
    return images


def _check(batches: Iterable[Any], wanted: dict[str, torch.Tensor]) -> int:
    count = 0
    for images, ids, *_ in batches:
        assert type(images) is torch.Tensor
        for image, processid in zip(images, ids, strict=True):
            assert torch.equal(image, wanted[processid])
            count += 1
    return count


def _loader(data: Any, batch: int = 4, workers: int = 2, **options: Any) -> DataLoader[Any]:
    return DataLoader(data, batch, num_workers=workers, **options)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_batches_that_are_kept_are_not_filled_again(
    context: str, data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    # A worker that is spawned imports torch anew; forked ones tell of several.
    workers = 2 if context == "fork" else 1
    loader = _loader(data, workers=workers, shuffle=True, multiprocessing_context=context)
    assert _check(list(loader), wanted) == len(data)


def test_what_is_kept_of_a_batch_keeps_its_memory(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    kept: list[tuple[Any, str]] = []
    for number, (images, ids, _) in enumerate(_loader(data)):
        last = images[-1] if number % 2 else torch.from_numpy(images.numpy()[-1])
        kept.append((last, ids[-1]))
        del images
    for image, processid in kept:
        assert torch.equal(image, wanted[processid])


def test_a_fork_that_ends_gives_nothing_back(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    held: list[Any] = []

    def end() -> None:
        held.clear()

    for number, batch in enumerate(_loader(data, workers=1)):
        held.append(batch)
        if number == 1:
            child = multiprocessing.get_context("fork").Process(target=end)
            child.start()
            child.join()
    assert _check(held, wanted) == len(data)


def test_a_fork_that_lives_longer_keeps_its_batch(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    context = multiprocessing.get_context("fork")
    ended, found = context.Event(), context.SimpleQueue()

    def look(batch: Any) -> None:
        ended.wait()
        images, ids, _ = batch
        pairs = zip(images, (wanted[processid] for processid in ids), strict=True)
        found.put([torch.equal(*pair) for pair in pairs])

    children: list[Any] = []
    most = 0
    for *batch, memories in _loader(data, 2, workers=1, collate_fn=_with_memories):
        most = max(most, memories)
        if len(children) < 3:
            child = context.Process(target=look, args=((*batch, memories),))
            child.start()
            children.append(child)
        del batch
    ended.set()
    assert [found.get() for _ in children] == [[True, True]] * 3
    for child in children:
        child.join()
    # Those that they look at are none of the worker's any more.
    assert most <= 4


def _with_memories(items: list[Any]) -> tuple[Any, ...]:
    images, ids, _ = default_collate(items)
    assert type(images) is LentBatch
    # The items lie in the batch, which was not put together of them.
    assert items[0][0].data_ptr() == images.data_ptr()
    return images, ids, len(_memories)


def test_memory_is_used_again(data: BIOSCAN5M, wanted: dict[str, torch.Tensor]) -> None:
    loader = _loader(data, 2, workers=1, collate_fn=_with_memories, prefetch_factor=2)
    most = 0
    count = 0
    for images, ids, memories in loader:
        count += _check([(images, ids)], wanted)
        most = max(most, memories)
        del images
    assert count == len(data)
    # Two that are fetched ahead, one that is used, and one that is being filled.
    assert most <= 4


def test_more_batches_are_kept_than_memory_is_lent(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bioscan5m_hf.torch.lent._MOST", 3)
    assert _check(list(_loader(data, workers=1)), wanted) == len(data)


def _stacked_in_memory(items: list[Any]) -> tuple[Any, ...]:
    images, ids, _ = default_collate(items)
    return images, ids, len(_memories)


class _Cached(torch.utils.data.Dataset[Any]):
    """Items that a worker keeps."""

    def __init__(self, data: BIOSCAN5M) -> None:
        self.data = data
        self.kept: list[Any] = []

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        self.kept.append(self.data[index])
        return self.kept[-1]


def test_items_that_a_worker_keeps(data: BIOSCAN5M, wanted: dict[str, torch.Tensor]) -> None:
    most = 0
    for images, ids, memories in _loader(_Cached(data), workers=1, collate_fn=_stacked_in_memory):
        assert _check([(images, ids)], wanted) == len(ids)
        most = max(most, memories)
        del images
    assert most <= 4


def _stacked(items: list[Any]) -> tuple[Any, ...]:
    assert all(type(item[0]) is WorkerImage for item in items)
    # What is computed is a plain tensor.
    assert type(items[0][0] + 1) is torch.Tensor
    return torch.stack([item[0] for item in items]), [item[1] for item in items]


def _listed(items: list[Any]) -> tuple[Any, ...]:
    assert get_worker_info() is not None
    return [item[0] for item in items], [item[1] for item in items]


def _part(items: list[Any]) -> tuple[Any, ...]:
    images, ids, _ = default_collate(items[::-1][:2])
    return images, ids


@pytest.mark.parametrize("collate", [_stacked, _listed, _part])
def test_other_ways_to_collate(
    collate: Any, data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    batches = list(_loader(data, collate_fn=collate))
    for images, ids in batches:
        for image, processid in zip(images, ids, strict=True):
            assert type(image) is torch.Tensor
            assert torch.equal(image, wanted[processid])
    if collate is not _part:
        assert sum(len(ids) for _, ids in batches) == len(data)


def _part_first(items: list[Any]) -> tuple[Any, ...]:
    images, ids, _ = default_collate(items)
    return images[:1], ids[:1], images, ids


def test_a_part_of_a_batch_is_sent_before_the_whole(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    count = 0
    # They are held for a while, as a loop does that computes with them.
    for held in _several_at_a_time(_loader(data, 2, collate_fn=_part_first)):
        for part, first, images, ids in held:
            assert _check([(part, first)], wanted) == 1
            count += _check([(images, ids)], wanted)
    assert count == len(data)


def _several_at_a_time(batches: Iterable[Any]) -> Iterable[list[Any]]:
    held: list[Any] = []
    for batch in batches:
        held.append(batch)
        if len(held) == 4:
            yield held
            held = []
    yield held


class _WithTheLast:
    """Gives each batch together with the one before it, which the worker keeps."""

    def __init__(self) -> None:
        self.last: tuple[Any, ...] | None = None

    def __call__(self, items: list[Any]) -> tuple[Any, ...]:
        images, ids, _ = default_collate(items)
        before, self.last = self.last or (images, ids), (images, ids)
        return *before, images, ids


def test_a_worker_keeps_a_batch_and_sends_it_again(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    count = 0
    for before, ids_before, images, ids in _loader(data, 2, collate_fn=_WithTheLast()):
        assert _check([(before, ids_before)], wanted) == len(ids_before)
        count += _check([(images, ids)], wanted)
        del before, images
    assert count == len(data)


def _turned(items: list[Any]) -> tuple[Any, ...]:
    items[1][0].transpose_(1, 2)
    images, ids, _ = default_collate(items)
    return images, ids


def _turned_as_a_whole(items: list[Any]) -> tuple[Any, ...]:
    images, ids, _ = default_collate(items)
    return images.transpose_(2, 3), ids


def test_images_that_were_turned_where_they_lie(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    for images, ids in _loader(data, collate_fn=_turned):
        for number, (image, processid) in enumerate(zip(images, ids, strict=True)):
            right = wanted[processid]
            assert torch.equal(image, right.transpose(1, 2) if number == 1 else right)
    for images, ids in _loader(data, collate_fn=_turned_as_a_whole):
        for image, processid in zip(images, ids, strict=True):
            assert torch.equal(image, wanted[processid].transpose(1, 2))


def test_together_with_images_of_another_dataset(
    data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    others = [(image, name, 0) for name, image in wanted.items()]
    both: Any = torch.utils.data.ConcatDataset([data, others])  # type: ignore[list-item]
    assert _check(_loader(both, 3, shuffle=True), wanted) == 2 * len(data)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_a_stream(
    batch: int, forms: Path, data: BIOSCAN5M, wanted: dict[str, torch.Tensor]
) -> None:
    stream = BIOSCAN5MStream(forms / "parquet", **OPTIONS)
    assert _check(list(_loader(stream, batch)), wanted) == len(data)


def test_a_transform_makes_of_images_what_it_likes(
    forms: Path, wanted: dict[str, torch.Tensor]
) -> None:
    halved = BIOSCAN5M(forms / "parquet", **OPTIONS, transform=_half)
    for images, ids, _ in _loader(halved):
        for image, processid in zip(images, ids, strict=True):
            assert torch.equal(image, wanted[processid][:, ::2, ::2] / 2)


def _half(image: torch.Tensor) -> torch.Tensor:
    assert type(image) is torch.Tensor
    return image[:, ::2, ::2] / 2


def test_datasets_with_the_decoder(
    forms: Path, wanted: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    columns = ["image", "processid"]
    ds = load_dataset(forms / "parquet", split="all", columns=columns, cache_dir=tmp_path)
    batches = list(_loader(with_decoder(ds, 48, center_crop=True)))
    pairs = [(batch["image"], batch["processid"]) for batch in batches]
    assert _check(pairs, wanted) == len(ds)
