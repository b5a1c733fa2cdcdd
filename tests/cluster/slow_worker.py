"""Preloaded by workers: a pause before each block, so that a shard lasts long enough to be hit."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from typing import Any

from conversion.planning.tasks import ShardTask
from conversion.shards import build as shard


def dask_setup(_worker: Any) -> None:
    """Called once by the worker that preloads this file."""
    read_blocks = shard.read_blocks

    def slowly(task: ShardTask) -> Generator[shard.Block]:
        for block in read_blocks(task):
            time.sleep(float(os.environ["SECONDS_A_BLOCK"]))
            yield block

    shard.read_blocks = slowly
