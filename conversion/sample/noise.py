"""Random numbers by position: the value at an index needs none of the values before it.

Every property of a specimen is drawn from (seed, name of the property, index). So any block of a
release can be made by any process, in any order, and comes out the same.
"""

from __future__ import annotations

import math
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEP: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_WORD: Final = (1 << 64) - 1


def key(seed: int, stream: str) -> int:
    """Mix a seed and the name of a property into 64 bits.

    Args:
        seed: Any integer.
        stream: The name of what is drawn; other names give independent numbers.
    """
    mixed = (seed * _STEP + zlib.crc32(stream.encode()) * _FIRST + _SECOND) & _WORD
    mixed = ((mixed ^ (mixed >> 30)) * _FIRST) & _WORD
    mixed = ((mixed ^ (mixed >> 27)) * _SECOND) & _WORD
    return mixed ^ (mixed >> 31)


def bits(seed: int, stream: str, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 random bits for every index (the finaliser of SplitMix64 over a counter).

    Args:
        seed: Any integer.
        stream: The name of what is drawn.
        index: Positions, of any shape but a scalar.
    """
    mixed = index.astype(np.uint64) * np.uint64(_STEP) + np.uint64(key(seed, stream))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND)
    return mixed ^ (mixed >> np.uint64(31))


def unit(seed: int, stream: str, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one for every index."""
    return (bits(seed, stream, index) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(seed: int, stream: str, index: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Uniform integers in [0, limit), one for every index."""
    return (bits(seed, stream, index) % np.uint64(limit)).astype(np.int64)


def scattered(seed: int, stream: str, index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """A permutation of ``range(size)`` that spreads neighbours evenly.

    Args:
        seed: Any integer.
        stream: The name of the permutation.
        index: Positions in ``range(size)``.
        size: How many positions there are, below 2**31.
    """
    # The golden section keeps every stretch of positions spread over the whole range.
    step = max(1, round(size * 0.6180339887498949))
    while math.gcd(step, size) != 1:
        step += 1
    return (index.astype(np.int64) * step + key(seed, stream) % size) % size
