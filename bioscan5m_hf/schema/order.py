"""Order specimens by md5(processid): a fixed random order, by which upstream names folders too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.md5 import first_halves

Keys = np.ndarray[Any, np.dtype[np.uint64]]

_CHUNKS: Final = pa.array([*(f"{n:02x}" for n in range(256)), *(f"{n:x}" for n in range(16)), ""])
_NO_CHUNK: Final = len(_CHUNKS) - 1
_SPLIT_NAMES: Final = pa.array([split.name for split in SPLITS])
_DIGITS: Final = np.array([*(split.chunk_digits for split in SPLITS), 0])


def keys_of(processids: pa.Array | pa.ChunkedArray | Sequence[str]) -> Keys:
    """The sort key of each specimen: the first eight bytes of md5(processid), as a number.

    Args:
        processids: The processids, none of them null.

    Returns:
        Unsigned 64-bit numbers, one for each processid.
    """
    if isinstance(processids, Sequence):
        processids = pa.array(processids, pa.string())
    chunks = processids.chunks if isinstance(processids, pa.ChunkedArray) else [processids]
    return np.concatenate([first_halves(chunk) for chunk in chunks] or [np.empty(0, np.uint64)])


def chunks_of(keys: Keys, splits: pa.Array) -> pa.Array:
    """The chunk of each specimen: the leading hex digits of md5(processid) that name its folder.

    Returns:
        Strings of two, one or no digits, as ``Split.chunk_digits`` says.
    """
    number = splits_numbered(splits)
    digits = _DIGITS[number]
    first = (keys >> np.uint64(56)).astype(np.int64)
    places = np.where(digits == 2, first, np.where(digits == 1, 256 + (first >> 4), _NO_CHUNK))
    return _CHUNKS.take(pa.array(places))


def splits_numbered(splits: pa.Array) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The index of each split in ``SPLITS``; ``len(SPLITS)`` for an unknown split."""
    found = pc.index_in(splits, _SPLIT_NAMES)
    return np.asarray(found.fill_null(len(SPLITS)), np.int64)
