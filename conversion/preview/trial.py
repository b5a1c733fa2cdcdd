"""Measure how long a shard takes, by making a piece of it in a temporary folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from conversion.planning.tasks import ShardTask
from conversion.shards.build import make_shard

_WARMING: Final = 16
_IMAGES: Final = 400


def seconds_for(tasks: Sequence[ShardTask], folder: Path) -> float:
    """Estimate how long one worker needs for some shards of one package.

    The first images of the largest one are made, after a few that load libraries and open archives.

    Args:
        tasks: The shards.
        folder: A folder for what is made; whoever made it removes it.

    Raises:
        BioscanError: An image is flawed, or a source cannot be read.
    """
    if not tasks:
        return 0.0
    largest = max(tasks, key=lambda task: task.shard.rows)
    _make(largest, _WARMING, folder)
    images, seconds = _make(largest, _IMAGES, folder)
    return seconds / images * sum(task.shard.rows for task in tasks)


def _make(task: ShardTask, most: int, folder: Path) -> tuple[int, float]:
    shard = task.shard
    piece = replace(shard, stop=min(shard.stop, shard.start + most))
    began = time.perf_counter()
    result = make_shard(replace(task, shard=piece, folder=str(folder), record=True))
    seconds = time.perf_counter() - began
    if result.written:
        replace(task, folder=str(folder)).path.unlink()
    return piece.rows, seconds
