"""Keys that put specimens into their order: the split, then md5(processid)."""

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
"""The bits of a key that are the md5's; the split is above them."""

_SPLIT_NAMES: Final = pa.array([split.name for split in SPLITS])
assert len(SPLITS) <= 1 << (64 - _HASH_BITS)


def order_keys(keys: Keys, splits: pa.Array) -> Keys:
    """The keys of some specimens in the order of the splits.

    Different specimens may have equal keys: whoever needs to tell them apart compares names.

    Args:
        keys: Those of their processids, as ``keys_of`` gives them.
        splits: The names of their splits, all of them known.

    Returns:
        Numbers that grow with the split, in upstream's order, and with md5(processid) within.
    """
    numbers = pc.index_in(splits, _SPLIT_NAMES).to_numpy(zero_copy_only=False)
    found: Keys = (numbers.astype(np.uint64) << np.uint64(_HASH_BITS)) | hashes(keys)
    return found


def hashes(keys: Keys) -> Keys:
    """What keys in the order of the splits have of those that ``keys_of`` gives."""
    shifted: Keys = keys >> np.uint64(64 - _HASH_BITS)
    return shifted


def full_keys(keys: Keys) -> Keys:
    """The keys as ``keys_of`` gives them, with zeros for the last three bits, which are lost."""
    shifted: Keys = keys << np.uint64(64 - _HASH_BITS)
    return shifted


def first_key(split: Split) -> np.uint64:
    """The smallest key of a split."""
    return np.uint64(SPLITS.index(split) << _HASH_BITS)


def split_numbers(keys: Keys) -> npt.NDArray[np.int8]:
    """The number of the split of each key."""
    return (keys >> np.uint64(_HASH_BITS)).astype(np.int8)


def split_edges(keys: Keys) -> npt.NDArray[np.int64]:
    """Where each split begins among sorted keys, and where the last one ends."""
    firsts = np.array([int(first_key(split)) for split in SPLITS], np.uint64)
    return np.append(np.searchsorted(keys, firsts), len(keys))
