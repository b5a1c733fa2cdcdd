"""Images that a worker of a ``DataLoader`` puts together to a batch in memory that it lends.

``default_collate`` copies images into fresh shared memory. Here images are decoded into the memory
of their batch, or copied into memory that was used before.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.multiprocessing import reductions
from torch.utils.data._utils.collate import default_collate_fn_map

from bioscan5m_hf.torch.lent import empty_batch


class WorkerImage(torch.Tensor):
    """An image in a worker. What is computed from it is a plain tensor.

    Attributes:
        batch: What it lies in, images x 3 x height x width, or nothing.
        place: The number of the image in the batch.
    """

    batch: torch.Tensor | None
    place: int
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def worker_image(image: torch.Tensor, batch: torch.Tensor | None = None, place: int = 0) -> Any:
    """An image that is collated into lent memory.

    Args:
        image: A tensor of uint8, 3 x height x width.
        batch: What it lies in, if it does.
        place: The number of the image in the batch.
    """
    made = image.as_subclass(WorkerImage)
    made.batch, made.place = batch, place
    return made


def _collate(images: Sequence[WorkerImage], **_: Any) -> torch.Tensor:
    batch = images[0].batch
    if batch is not None and len(images) == len(batch):
        places = [image.place for image in images if image.batch is batch]
        if places == list(range(len(batch))):
            return batch
    batch = empty_batch(len(images), *images[0].shape)
    return torch.stack(list(images), out=batch)


def _reduce(image: WorkerImage) -> Any:
    # As a view it would take its whole batch along.
    return reductions.reduce_tensor(image.as_subclass(torch.Tensor).clone())  # type: ignore[no-untyped-call]


# Where torch documents that types of one's own are collated.
default_collate_fn_map[WorkerImage] = _collate
ForkingPickler.register(WorkerImage, _reduce)
