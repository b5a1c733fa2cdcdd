"""Reuse the shared memory of batches that a ``DataLoader`` worker sends to the main process.

PyTorch allocates new shared memory for each batch. The kernel allocates, maps and frees it page by
page, which takes 140 microseconds of processor time for an image of 224 pixels, half of the time of
decoding it. Here a worker lends memory to the main process, and uses it again when the main process
has released it.
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

# One byte for each process says whether it uses the batch; the batch starts at the next page.
_WORKER, _RECEIVER = 0, 1
_LOOKS_AWAY, _LOOKS, _WAS_FORKED = 0, 1, 2
_BATCH_BEGINS: Final = mmap.ALLOCATIONGRANULARITY

# Each memory is an open file, so their number is limited; torch allocates further batches.
_MOST: Final = 64 if hasattr(os, "memfd_create") else 0


class LentBatch(torch.Tensor):
    """A batch in lent memory; its receiver, and operations on it, get plain tensors."""

    memory: _Memory
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class _Memory:
    """A file without a name that holds one batch."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.file = os.memfd_create("bioscan5m-batch")
        # Fail here if memory is lacking, not with a signal when a page is written.
        os.posix_fallocate(self.file, 0, _BATCH_BEGINS + size)
        self._mapped = mmap.mmap(self.file, 0)

    @property
    def free(self) -> bool:
        """Whether both processes have released the batch."""
        return self._mapped[_WORKER] == self._mapped[_RECEIVER] == _LOOKS_AWAY

    @property
    def lost(self) -> bool:
        """Whether a forked process may use the batch; its end is not reported."""
        sides = self._mapped[_WORKER], self._mapped[_RECEIVER]
        return _WAS_FORKED in sides and sides[_WORKER] != _LOOKS

    def close(self) -> None:
        """Close the file; the memory stays with the processes that still use it."""
        os.close(self.file)

    def lend(self, shape: tuple[int, ...]) -> LentBatch:
        batch = _view(self._mapped, shape, _WORKER)
        self._address = batch.data_ptr()
        self._sent = False
        lent = batch.as_subclass(LentBatch)
        lent.memory = self
        return lent

    def may_send(self, batch: LentBatch) -> bool:
        """Whether the memory can be sent: it was not sent yet, and the batch is still in it.

        PyTorch moves a batch to other memory when a part of it is sent alone.
        """
        return not self._sent and batch.data_ptr() == self._address and batch.is_contiguous()

    def send(self) -> Any:
        """The file for the process that receives the batch."""
        self._sent = True
        self._mapped[_RECEIVER] = _LOOKS
        return DupFd(self.file)


class _Forks:
    """Counts how often this process was forked."""

    count = 0

    @classmethod
    def add(cls) -> None:
        cls.count += 1


if _MOST:
    os.register_at_fork(before=_Forks.add)

_memories: list[_Memory] = []


def empty_batch(*shape: int) -> torch.Tensor:
    """Allocate a batch: in reused memory in a worker, else as a plain tensor.

    Args:
        shape: Its dimensions.

    Returns:
        A tensor of uint8 with arbitrary values.
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
    """A tensor over mapped memory; when it is deleted, its process has released the batch."""
    mapped[side] = _LOOKS
    pixels = np.frombuffer(mapped, np.uint8, math.prod(shape), _BATCH_BEGINS)
    weakref.finalize(pixels, _look_away, mapped, side, os.getpid(), _Forks.count).atexit = False
    return torch.from_numpy(pixels).view(shape)


def _look_away(mapped: mmap.mmap, side: int, process: int, forks: int) -> None:
    # A process forked meanwhile has a copy of the tensor, but shares the memory, and may use it
    # longer than this process.
    if os.getpid() == process:
        mapped[side] = _LOOKS_AWAY if forks == _Forks.count else _WAS_FORKED


def _reduce(batch: LentBatch) -> tuple[Any, ...]:
    if batch.memory.may_send(batch):
        return _receive, (batch.memory.send(), tuple(batch.shape))
    return reduce_copy(batch)


def reduce_copy(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Send a plain copy in place of a tensor whose memory contains more than itself."""
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
