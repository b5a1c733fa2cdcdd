"""Make the keys by which specimens are sorted: the split, then md5(processid)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.order import Keys

_HASH_BITS: Final = 61
HASH: Final = np.uint64((1 << _HASH_BITS) - 1)
"""The bits of a key that come from the md5; the split is in the bits above them."""

_SPLIT_NAMES: Final = pa.array([split.name for split in SPLITS])
assert len(SPLITS) <= 1 << (64 - _HASH_BITS)


def order_keys(keys: Keys, splits: pa.Array) -> Keys:
    """The sort keys of specimens.

    Different specimens may have equal keys; to distinguish them, compare their processids.

    Args:
        keys: The keys of their processids, from ``keys_of``.
        splits: The names of their splits, all of them known.

    Returns:
        Numbers that sort by split, in upstream's order, and by md5(processid) within a split.
    """
    numbers = pc.index_in(splits, _SPLIT_NAMES).to_numpy(zero_copy_only=False)
    found: Keys = (numbers.astype(np.uint64) << np.uint64(_HASH_BITS)) | hashes(keys)
    return found


def hashes(keys: Keys) -> Keys:
    """The part of keys from ``keys_of`` that sort keys contain: the upper 61 bits."""
    shifted: Keys = keys >> np.uint64(64 - _HASH_BITS)
    return shifted


def full_keys(keys: Keys) -> Keys:
    """Turn sort keys into keys as from ``keys_of``; the last three bits are lost and become 0."""
    shifted: Keys = keys << np.uint64(64 - _HASH_BITS)
    return shifted


def first_key(split: Split) -> np.uint64:
    """The smallest key of a split."""
    return np.uint64(SPLITS.index(split) << _HASH_BITS)


def split_numbers(keys: Keys) -> npt.NDArray[np.int8]:
    """The number of the split of each key."""
    return (keys >> np.uint64(_HASH_BITS)).astype(np.int8)


def split_edges(keys: Keys) -> npt.NDArray[np.int64]:
    """The position of the first key of each split among sorted keys, and the end of the last."""
    firsts = np.array([int(first_key(split)) for split in SPLITS], np.uint64)
    return np.append(np.searchsorted(keys, firsts), len(keys))
