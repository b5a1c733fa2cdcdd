"""Prefetch members of local zips: the system is told what is read next, and fetches it in order.

Consecutive specimens lie scattered within one folder of a zip. Read one after the other, each waits
for the disk on its own; told of some megabytes of them at once, the system fetches all in the order
in which they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES, MEMBER_SLACK
from bioscan5m_hf.storage.ranges import Limits, Reads

AHEAD: Final = Limits(window=64 << 20, request=64 << 20, gap=32 << 10)
"""What a local disk is told at once, twice of which is in the system's cache; and the gap that it
reads over in less time than it takes to begin anew."""

# Farther than any file reaches; a damaged directory may claim it.
_FARTHEST: Final = 1 << 62


def with_prefetch(
    blocks: Iterator[pa.Table], tell: Callable[[pa.Table], None]
) -> Iterator[pa.Table]:
    """Hand out blocks of members, and tell of those that come after them.

    Args:
        blocks: Tables with a row for each member.
        tell: Takes the members of one window; the next one is told before any of it is handed out.

    Yields:
        The blocks, in order.
    """
    held: list[pa.Table] = []
    for window in _windows(blocks):
        tell(pa.concat_tables(window))
        yield from held
        held = window
    yield from held


def _windows(blocks: Iterator[pa.Table]) -> Iterator[list[pa.Table]]:
    window: list[pa.Table] = []
    size = 0
    for block in blocks:
        window.append(block)
        size += pc.sum(block["size"]).as_py() or 0
        if size >= AHEAD.window:
            yield window
            window, size = [], 0
    if window:
        yield window


def reads_of(members: pa.Table, wanted: Sequence[bool]) -> Reads:
    """What is going to be read of some archives.

    Args:
        members: Where images lie, in the order in which they are going to be read.
        wanted: For each source by its number, whether it is one of these archives.
    """
    sources = members["source"].to_numpy()
    sizes = [members[name].fill_null(0).to_numpy() for name in ("compressed", "size", "offset")]
    # What no image can be is judged when it is read, and is not fetched.
    chosen = np.array(wanted)[sources] & (np.maximum(sizes[0], sizes[1]) <= MAX_IMAGE_BYTES)
    chosen &= sizes[2] < _FARTHEST
    # A plain file has no offset.
    chosen &= members["offset"].is_valid().to_numpy()
    starts = sizes[2][chosen].astype(np.int64)
    folders = members["folder"].combine_chunks().dictionary_encode()
    return Reads(
        sources[chosen].astype(np.int64),
        starts,
        starts + sizes[0][chosen].astype(np.int64) + MEMBER_SLACK,
        folders.indices.to_numpy()[chosen].astype(np.int64),
    )
