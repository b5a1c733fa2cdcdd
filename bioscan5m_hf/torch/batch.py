"""Collate images in a worker of a ``DataLoader`` into reused memory, because this is faster.

``default_collate`` copies images into new shared memory. Here images are decoded directly into the
memory of their batch, or copied into memory that was used before.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.utils.data._utils.collate import default_collate_fn_map

from bioscan5m_hf.torch.lent import empty_batch, reduce_copy


class WorkerImage(torch.Tensor):
    """An image in a worker; results of operations on it are plain tensors.

    Attributes:
        batch: The batch that contains it, images x 3 x height x width, if there is one.
    """

    batch: torch.Tensor | None
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def worker_image(image: torch.Tensor, batch: torch.Tensor | None = None) -> WorkerImage:
    """Mark an image, so that it is collated into reused memory.

    Args:
        image: A tensor of uint8, 3 x height x width.
        batch: The batch that contains it, if there is one.
    """
    made = image.as_subclass(WorkerImage)
    made.batch = batch
    return made


def _collate(images: Sequence[torch.Tensor], **_: Any) -> torch.Tensor:
    batch: torch.Tensor | None = getattr(images[0], "batch", None)
    if batch is not None and len(images) == len(batch):
        # Use the batch only if each image is unchanged and in its place: it may have been
        # transformed, or come from another dataset.
        lies_in = (
            type(image) is WorkerImage and image.is_set_to(batch[place])
            for place, image in enumerate(images)
        )
        if all(lies_in):
            return batch
    made = empty_batch(len(images), *images[0].shape)
    return torch.stack(list(images), out=made)


# The documented way to collate a custom type.
default_collate_fn_map[WorkerImage] = _collate
# An image sent as a view would take its whole batch with it.
ForkingPickler.register(WorkerImage, reduce_copy)
