"""Prefetch members of local zips: announce the next reads to the system, which orders them.

Consecutive specimens are scattered within one folder of a zip. If they are read one by one, each
read waits for the disk. If many megabytes are announced at once, the system fetches them in the
order of their offsets.
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
"""The limits of read-ahead on a local disk. Up to two windows are in the system's cache. Reading
across a gap of this size takes less time than starting another read."""

# Beyond the end of any file; a damaged directory may claim such an offset.
_FARTHEST: Final = 1 << 62


def with_prefetch(
    blocks: Iterator[pa.Table], tell: Callable[[pa.Table], None]
) -> Iterator[pa.Table]:
    """Yield blocks of members, and announce each window of blocks ahead of time.

    Args:
        blocks: Tables with a row for each member.
        tell: Called with the members of a window, before the blocks of the previous window are
            yielded.

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
    """Return the reads that some of the sources will get.

    Args:
        members: The locations of images, in the order in which they will be read.
        wanted: For each source by its number, whether to include its reads.
    """
    sources = members["source"].to_numpy()
    sizes = [members[name].fill_null(0).to_numpy() for name in ("compressed", "size", "offset")]
    # Members that are too large for an image are rejected when they are read, so they are not
    # prefetched.
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
