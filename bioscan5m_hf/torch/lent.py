"""Memory for batches that a worker of a ``DataLoader`` lends to the main process.

PyTorch takes fresh shared memory for each batch, and the kernel hands it out, maps it and takes it
back page by page: 140 microseconds of a processor for an image of 224 pixels, half of what it takes
to decode one. Here a worker fills its memory again when the main process has done with it.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any, Final

import numpy as np
import torch
from torch.multiprocessing import reductions
from torch.utils.data import get_worker_info

# A byte for each side, which tells whether it looks at the batch; the batch is on the next pages.
_WORKER, _RECEIVER = 0, 1
_LOOKS_AWAY, _LOOKS, _WAS_FORKED = 0, 1, 2
_BATCH_BEGINS: Final = mmap.ALLOCATIONGRANULARITY

# Each is an open file. Who keeps batches in a worker gets the others from torch.
_MOST: Final = 64 if hasattr(os, "memfd_create") else 0


class LentBatch(torch.Tensor):
    """A batch in lent memory. What is computed from it, and what is received, is a plain tensor."""

    memory: _Memory
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class _Memory:
    """A file without a name that holds one batch."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.file = os.memfd_create("bioscan5m-batch")
        # An error here, where there is no memory, and not a signal when a page is written to.
        os.posix_fallocate(self.file, 0, _BATCH_BEGINS + size)
        self._mapped = mmap.mmap(self.file, 0)

    @property
    def free(self) -> bool:
        """Whether nobody looks at the batch any more."""
        return self._mapped[_WORKER] == self._mapped[_RECEIVER] == _LOOKS_AWAY

    @property
    def lost(self) -> bool:
        """Whether a forked process may look at the batch, of which nobody learns when it ends."""
        sides = self._mapped[_WORKER], self._mapped[_RECEIVER]
        return _WAS_FORKED in sides and sides[_WORKER] != _LOOKS

    def close(self) -> None:
        """Leave the memory to whoever looks at it."""
        os.close(self.file)

    def lend(self, shape: tuple[int, ...]) -> LentBatch:
        batch = _view(self._mapped, shape, _WORKER)
        self._address = batch.data_ptr()
        self._sent = False
        lent = batch.as_subclass(LentBatch)
        lent.memory = self
        return lent

    def may_send(self, batch: LentBatch) -> bool:
        """Whether what is received would be this batch, and whoever receives it be the only one.

        PyTorch puts a batch elsewhere when a part of it is sent alone.
        """
        return not self._sent and batch.data_ptr() == self._address and batch.is_contiguous()

    def send(self) -> Any:
        """The file for the process that receives the batch."""
        self._sent = True
        self._mapped[_RECEIVER] = _LOOKS
        return DupFd(self.file)


class _Forks:
    """How often this process was forked."""

    count = 0

    @classmethod
    def add(cls) -> None:
        cls.count += 1


if _MOST:
    os.register_at_fork(before=_Forks.add)

_memories: list[_Memory] = []


def empty_batch(*shape: int) -> torch.Tensor:
    """Memory for a batch: lent memory in a worker, a plain tensor elsewhere.

    Args:
        shape: Its dimensions.

    Returns:
        A tensor of uint8; what it holds is left over from before.
    """
    if get_worker_info() is not None:
        size = math.prod(shape)
        for memory in _memories:
            if memory.size >= size and memory.free:
                return memory.lend(shape)
        for memory in [each for each in _memories if each.lost]:
            _memories.remove(memory)
            memory.close()
        if len(_memories) < _MOST:
            _memories.append(_Memory(size))
            return _memories[-1].lend(shape)
    return torch.empty(shape, dtype=torch.uint8)


def _view(mapped: mmap.mmap, shape: tuple[int, ...], side: int) -> torch.Tensor:
    """A tensor over mapped memory, at whose end one side looks at it no more."""
    mapped[side] = _LOOKS
    pixels = np.frombuffer(mapped, np.uint8, math.prod(shape), _BATCH_BEGINS)
    weakref.finalize(pixels, _look_away, mapped, side, os.getpid(), _Forks.count).atexit = False
    return torch.from_numpy(pixels).view(shape)


def _look_away(mapped: mmap.mmap, side: int, process: int, forks: int) -> None:
    # A process that was forked meanwhile has a copy of the tensor and not of the memory, and may
    # look at it for longer than this one.
    if os.getpid() == process:
        mapped[side] = _LOOKS_AWAY if forks == _Forks.count else _WAS_FORKED


def _reduce(batch: LentBatch) -> tuple[Any, ...]:
    if batch.memory.may_send(batch):
        return _receive, (batch.memory.send(), tuple(batch.shape))
    return reduce_copy(batch)


def reduce_copy(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What is sent in place of a tensor that shares its memory: a plain one with that alone."""
    copy = tensor.as_subclass(torch.Tensor).clone()
    return reductions.reduce_tensor(copy)  # type: ignore[no-any-return, no-untyped-call]


def _receive(sent: Any, shape: tuple[int, ...]) -> torch.Tensor:
    file = sent.detach()
    try:
        mapped = mmap.mmap(file, 0)
    finally:
        os.close(file)
    return _view(mapped, shape, _RECEIVER)


ForkingPickler.register(LentBatch, _reduce)
