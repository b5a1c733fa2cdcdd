"""Images that a worker of a ``DataLoader`` puts together to a batch in memory that it lends.

``default_collate`` copies images into fresh shared memory. Here images are decoded into the memory
of their batch, or copied into memory that was used before.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.utils.data._utils.collate import default_collate_fn_map

from bioscan5m_hf.torch.lent import empty_batch, reduce_copy


class WorkerImage(torch.Tensor):
    """An image in a worker. What is computed from it is a plain tensor.

    Attributes:
        batch: What it lies in, images x 3 x height x width, or nothing.
    """

    batch: torch.Tensor | None
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def worker_image(image: torch.Tensor, batch: torch.Tensor | None = None) -> WorkerImage:
    """An image that is collated into lent memory.

    Args:
        image: A tensor of uint8, 3 x height x width.
        batch: What it lies in, if it does.
    """
    made = image.as_subclass(WorkerImage)
    made.batch = batch
    return made


def _collate(images: Sequence[torch.Tensor], **_: Any) -> torch.Tensor:
    batch: torch.Tensor | None = getattr(images[0], "batch", None)
    if batch is not None and len(images) == len(batch):
        # Each where the batch has it: it may have been turned, or be an image of another dataset.
        lies_in = (
            type(image) is WorkerImage and image.is_set_to(batch[place])
            for place, image in enumerate(images)
        )
        if all(lies_in):
            return batch
    made = empty_batch(len(images), *images[0].shape)
    return torch.stack(list(images), out=made)


# Where torch documents that types of one's own are collated.
default_collate_fn_map[WorkerImage] = _collate
# As a view it would take its whole batch along.
ForkingPickler.register(WorkerImage, reduce_copy)
