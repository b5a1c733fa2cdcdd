"""Let the system fetch what is going to be read next, so that a disk is waited for less often.

Consecutive specimens lie scattered within one folder of a zip. Read one after the other, each waits
for the disk on its own; told of some megabytes of them at once, the system fetches all in the order
in which they lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.images import MAX_IMAGE_BYTES, MEMBER_SLACK

WINDOW_BYTES: Final = 64 << 20
"""What is told at once; two windows are in the system's cache at a time."""

# To fetch a gap of this length takes a disk less time than to begin anew behind it.
_GAP_BYTES: Final = 32 << 10

Runs = npt.NDArray[np.int64]
"""Parts of a file that do not overlap, by growing offset: a row each, start and stop in bytes."""


def with_foresight(
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
        size += pa.compute.sum(block["size"]).as_py() or 0
        if size >= WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window


def runs_of(members: pa.Table) -> Runs:
    """The parts of an archive that hold some of its members.

    Args:
        members: With ``offset``, ``compressed`` and ``size`` of each.
    """
    offset, compressed, size = (members[n].to_numpy() for n in ("offset", "compressed", "size"))
    # What no image can be is judged when it is read, and is not fetched.
    wanted = np.maximum(compressed, size) <= MAX_IMAGE_BYTES
    starts = np.sort(offset[wanted].astype(np.int64))
    order = np.argsort(offset[wanted])
    stops = starts + compressed[wanted].astype(np.int64)[order] + MEMBER_SLACK
    if not len(starts):
        return np.empty((0, 2), np.int64)
    stops = np.maximum.accumulate(stops)
    apart = np.flatnonzero(starts[1:] - stops[:-1] > _GAP_BYTES)
    firsts = np.concatenate([[0], apart + 1])
    lasts = np.concatenate([apart, [len(starts) - 1]])
    return np.stack([starts[firsts], stops[lasts]], axis=1)
