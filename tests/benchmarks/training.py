"""Images as a training loop sees them: shuffled batches of 64 at 224 pixels, tensors of uint8.

Each way is written as its users write it. All but ``iter_images``, which decodes on threads, decode
in the two workers of a ``DataLoader``.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from bioscan5m_hf import iter_images, load_dataset
from bioscan5m_hf.torch import BIOSCAN5M

BATCH = 64
SIZE = 224
WORKERS = 2
BUFFER = 1_000
"""How many samples are held to be shuffled where only streams can be read."""

Batches = Iterable[Any]


def rate(batches: Batches, most: int) -> float:
    """Images a second, from the first batch on, workers and all."""
    count = 0
    start = time.perf_counter()
    for batch in batches:
        assert batch.dtype == torch.uint8
        assert batch.shape[1:] == (3, SIZE, SIZE)
        count += len(batch)
        if count >= most:
            break
    return count / (time.perf_counter() - start)


def by_iter_images(folder: Path, package: str, split: str, cache: Path) -> Batches:
    """``iter_images`` over a shuffled stream."""
    rows = load_dataset(folder, package, split=split, streaming=True, cache_dir=str(cache))
    shuffled = rows.select_columns(["image"]).shuffle(seed=0, buffer_size=BUFFER)
    for batch in iter_images(shuffled, BATCH, size=SIZE, output="torch"):
        yield torch.stack([_middle(image) for image in batch["image"]])


def _middle(image: torch.Tensor) -> torch.Tensor:
    top, left = (image.shape[1] - SIZE) // 2, (image.shape[2] - SIZE) // 2
    return image[:, top : top + SIZE, left : left + SIZE]


def by_torch(folder: Path, package: str, split: str, cache: Path) -> Batches:
    """A ``DataLoader`` over ``bioscan5m_hf.torch``."""
    given = BIOSCAN5M(
        folder,
        split,
        "image",
        package,
        size=SIZE,
        center_crop=True,
        image_output="torch",
        cache_dir=cache,
    )
    for images, _ in _loader(given, shuffle=True):
        yield images


def by_datasets(folder: Path, package: str, split: str, cache: Path) -> Batches:
    """A ``DataLoader`` over ``datasets`` alone."""
    import datasets

    rows = datasets.load_dataset(str(folder), package, split=split, cache_dir=str(cache))
    rows = rows.select_columns(["image"]).with_transform(_fit_all)
    for batch in _loader(rows, shuffle=True):
        yield batch["image"]


def _fit_all(batch: dict[str, list[Any]]) -> dict[str, list[torch.Tensor]]:
    return {"image": [fit(image) for image in batch["image"]]}


def by_webdataset(shards: Sequence[str]) -> Batches:
    """A ``DataLoader`` over ``webdataset``."""
    from webdataset import WebDataset

    samples = WebDataset(list(shards), shardshuffle=len(shards), empty_check=False)
    yield from _loader(samples.shuffle(BUFFER).map(_fit_sample), shuffle=None)


def _fit_sample(sample: dict[str, Any]) -> torch.Tensor:
    return fit(_opened(sample["jpg"]))


class _Files(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, number: int) -> torch.Tensor:
        with Image.open(self._paths[number]) as image:
            return fit(image)


def by_files(folder: Path) -> Batches:
    """A ``DataLoader`` over unpacked files."""
    yield from _loader(_Files(sorted(folder.rglob("*.jpg"))), shuffle=True)


def by_litdata(folder: Path) -> Batches:
    """LitData's ``StreamingDataLoader`` over what its ``optimize`` has made."""
    from litdata import StreamingDataLoader, StreamingDataset

    class Images(StreamingDataset):  # type: ignore[misc, unused-ignore]
        def __getitem__(self, index: Any) -> torch.Tensor:
            return fit(_opened(super().__getitem__(index)["image"]))

    samples = Images(str(folder), shuffle=True)
    yield from StreamingDataLoader(samples, batch_size=BATCH, num_workers=WORKERS)


def fit(image: Image.Image) -> torch.Tensor:
    """The middle of an image, scaled: what ``Resize`` and ``CenterCrop`` of torchvision make."""
    scaled = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(scaled)).permute(2, 0, 1)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _loader(samples: Any, *, shuffle: bool | None) -> Iterator[Any]:
    return iter(
        torch.utils.data.DataLoader(samples, batch_size=BATCH, shuffle=shuffle, num_workers=WORKERS)
    )
