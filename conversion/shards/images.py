"""Join the images of a block while they are read, in memory that is reused."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Memory = npt.NDArray[np.uint8]


class JoinedImages:
    """The images of a block, one after another in one buffer.

    Each image is copied while it is still in the processor's cache. The memory that it was read
    into can then hold the next image.

    Args:
        memory: The buffer; a larger one is allocated if the images do not fit.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._view = memory.data
        self._ends = [0]

    def add(self, image: bytes | bytearray) -> None:
        """Append an image."""
        start = self._ends[-1]
        end = start + len(image)
        if end > len(self._view):
            self._grow(end)
        self._view[start:end] = image
        self._ends.append(end)

    def _grow(self, least: int) -> None:
        larger = np.empty(2 * least, np.uint8)
        held = self._ends[-1]
        larger[:held] = self._memory[:held]
        self._memory, self._view = larger, larger.data

    def array(self) -> pa.BinaryArray:
        """Return the images as an array that uses this buffer."""
        offsets = pa.py_buffer(np.array(self._ends, np.int32))
        joined = pa.py_buffer(self._memory).slice(0, self._ends[-1])
        return pa.Array.from_buffers(pa.binary(), len(self._ends) - 1, [None, offsets, joined])


@dataclass
class BlockMemory:
    """A pool of buffers for blocks; a buffer is reused when nothing refers to its data any more.

    Returning memory to the system and requesting it again for each block would take as long as
    copying the block.
    """

    _known: list[tuple[Memory, weakref.ref[Memory]]] = field(default_factory=list)

    def lend(self, size: int) -> Memory:
        """Return a buffer of at least ``size`` bytes."""
        free = [memory for memory, lent in self._known if lent() is None]
        memory = next((each for each in free if len(each) >= size), None)
        if memory is None:
            # A little more, because the next block may be a little longer.
            memory = np.empty(size + size // 8, np.uint8)
        # A new view: Arrow arrays that use the buffer keep this object alive.
        lent = memory[:]
        self._known = [each for each in self._known if each[1]() is not None]
        self._known.append((memory, weakref.ref(lent)))
        return lent
