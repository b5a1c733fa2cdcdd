"""Look up the split of a specimen in a small file beside the shards.

A processid does not say its split, and searching the shards of every split over a network would
take thirty requests and three megabytes. ``splits.npy`` has four bytes for each specimen of all
splits, sorted by md5(processid): the first 29 bits of the md5, then three bits with the number of
the split in upstream's order. The md5 is uniform, so the position of a specimen is known to within
some thousand entries, which are read with one request of 64 kB. The result is only a hint: if the
specimen is not in that split, the other splits are searched too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.order import Keys, keys_of
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location

SPLIT_TABLE_NAME: Final = "splits.npy"
"""The name of the file in a dataset folder, a NumPy array."""

_SPLIT_BITS: Final = 3
assert len(SPLITS) == 1 << _SPLIT_BITS
_HASH_SHIFT: Final = np.uint64(64 - 32 + _SPLIT_BITS)
_ENTRY: Final = np.dtype("<u4")
# np.save writes a header of this length before an array of one dimension.
_HEADER_BYTES: Final = 128
# Seven standard deviations of the position of a specimen in the table of the whole release.
_MARGIN: Final = 1 << 13

_Hashes = npt.NDArray[np.uint32]


def to_npy(keys: Keys, splits: npt.NDArray[Any]) -> bytes:
    """The bytes of the file.

    Args:
        keys: The key of each specimen, from ``keys_of``, in any order.
        splits: The number of the split of each.
    """
    entries = (_hashes(keys) << _SPLIT_BITS) | splits.astype(np.uint32)
    sink = io.BytesIO()
    np.save(sink, np.sort(entries).astype(_ENTRY), allow_pickle=False)
    return sink.getvalue()


def likely_splits(path: Location, processids: Sequence[str]) -> dict[str, set[Split]]:
    """The likely splits of each specimen: usually one, and none for an unknown specimen.

    Raises:
        ArchiveError: The file cannot be read.
    """
    wanted = sorted(zip(keys_of(processids).tolist(), processids, strict=True))
    found: dict[str, set[Split]] = {}
    with open_location(path) as source:
        count = max(0, source.size - _HEADER_BYTES) // _ENTRY.itemsize
        # For many specimens, read the whole table, because windows would overlap.
        margin = _MARGIN if 2 * _MARGIN * len(wanted) < count else count
        first, entries = -1, np.empty(0, _ENTRY)
        for key, name in wanted:
            begin = max(0, (key * count >> 64) - margin)
            if begin != first:
                length = min(count - begin, 2 * margin) * _ENTRY.itemsize
                data = source.read_at(_HEADER_BYTES + begin * _ENTRY.itemsize, length)
                first, entries = begin, np.frombuffer(data, _ENTRY)
            numbers = _numbers(entries, key)
            found[name] = {SPLITS[number] for number in numbers}
    return found


def _hashes(keys: Keys) -> _Hashes:
    return (keys >> _HASH_SHIFT).astype(np.uint32)


def _numbers(entries: _Hashes, key: int) -> list[int]:
    """The numbers of the splits that are stored for a key."""
    least = (key >> int(_HASH_SHIFT)) << _SPLIT_BITS
    most = least | ((1 << _SPLIT_BITS) - 1)
    start = np.searchsorted(entries, np.uint32(least))
    stop = np.searchsorted(entries, np.uint32(most), side="right")
    numbers: list[int] = (entries[start:stop] & np.uint32(most - least)).tolist()
    return numbers
