"""Join the images of a block while they are read, in memory that is used again."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Memory = npt.NDArray[np.uint8]


class JoinedImages:
    """The images of a block, one behind the other.

    Each is copied while it is still in the processor's cache, and what it was read into serves the
    next one.

    Args:
        memory: Room for them; more is taken where they need it.
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
        """The images, in this memory."""
        offsets = pa.py_buffer(np.array(self._ends, np.int32))
        joined = pa.py_buffer(self._memory).slice(0, self._ends[-1])
        return pa.Array.from_buffers(pa.binary(), len(self._ends) - 1, [None, offsets, joined])


@dataclass
class BlockMemory:
    """Memory for one block after another, used again where nobody holds what lies in it.

    Memory that is given back to the system and asked for again with each block costs as much as
    copying it.
    """

    _known: list[tuple[Memory, weakref.ref[Memory]]] = field(default_factory=list)

    def lend(self, size: int) -> Memory:
        """Memory of at least so many bytes."""
        free = [memory for memory, lent in self._known if lent() is None]
        memory = next((each for each in free if len(each) >= size), None)
        if memory is None:
            # A little more, since the next block may be a little longer.
            memory = np.empty(size + size // 8, np.uint8)
        # An object of its own: whoever holds the memory through Arrow holds that.
        lent = memory[:]
        self._known = [each for each in self._known if each[1]() is not None]
        self._known.append((memory, weakref.ref(lent)))
        return lent
