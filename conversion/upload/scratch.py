"""Limit the disk space of a conversion that uploads its shards."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.sources.manifest import STATE_FOLDER
from bioscan5m_hf.storage.inside import read_small, to_write
from conversion.card.figures.specimens import Pick, pick_specimens
from conversion.card.front_matter import shown_package
from conversion.files.atomic import write_whole
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult
from conversion.sizes import readable_size

PICKS_FOLDER: Final = f"{STATE_FOLDER}/picks"

# A shard may be larger than planned: the size of its metadata is estimated, and its last image may
# exceed the planned size.
_SLACK: Final = 1.15
_SLACK_BYTES: Final = 1 << 16
# The contact sheet needs reduced photographs from the first shard of each of eight splits.
_PICKS_BYTES: Final = 5 << 20
# Card and figures are written after the last shard was removed, so they can use its space.
_PICTURES_BYTES: Final = 3 << 20


class Scratch:
    """A dataset folder whose shards must not fill the disk.

    Args:
        folder: The folder.
        limit: How many bytes it may take; ``None`` for the files that stay and ``shards`` shards.
        shards: How many shards may lie there if no limit is given.
    """

    def __init__(self, folder: Path, limit: int | None, shards: int = 0) -> None:
        self._folder = folder
        self._limit = limit
        self._shards = shards
        self._base = 0
        self._kept = 0
        self._shard = 0
        self._shown: str | None = None
        self._lock = threading.Lock()

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None:
        """Check that the limit leaves room for the shards of these tasks.

        Raises:
            UsageError: There is no room even for one shard at a time.
        """
        if not tasks:
            return
        shards = {task.path for task in tasks}
        files = (path for path in self._folder.rglob("*") if path.is_file() and path not in shards)
        self._base = sum(path.stat().st_size for path in files) + _PICKS_BYTES
        self._shard = int(shard_bytes * _SLACK) + _SLACK_BYTES
        self._shown = shown_package([task.shard.configuration for task in tasks])
        if self._limit is None:
            self._limit = self._base + max(self._shards * self._shard, _PICTURES_BYTES)
        least = self._base + max(self._shard, _PICTURES_BYTES)
        if least > self._limit:
            raise UsageError(
                f"{readable_size(self._limit)} of scratch space cannot hold a shard of "
                f"{readable_size(shard_bytes)} beside the metadata",
                where=str(self._folder),
                fix=f"allow at least --scratch {-(-least // 10**6)}MB, or make smaller shards",
            )

    def has_room(self, running: int) -> bool:
        """Whether one more shard may be started while ``running`` shards are being made."""
        assert self._limit is not None, "the disk is planned first"
        with self._lock:
            return self._base + self._kept + (running + 1) * self._shard <= self._limit

    def keep(self, task: ShardTask, result: ShardResult) -> None:
        """Count a finished shard, and choose some of its specimens for the contact sheet."""
        assert result.written is not None
        if task.shard.index == 0 and task.shard.configuration == self._shown:
            name = self.picks_file(task.name).relative_to(self._folder).as_posix()
            write_whole(to_write(self._folder, name), _packed(pick_specimens(task.path)))
        with self._lock:
            self._kept += result.written.bytes

    def free(self, file: Path, length: int) -> None:
        """Remove a shard that was sent."""
        file.unlink()
        with self._lock:
            self._kept -= length

    def picks_file(self, path: str) -> Path:
        """The path of the file with the specimens that were chosen from a shard."""
        return self._folder / PICKS_FOLDER / f"{path.replace('/', '__')}.json"

    def picks(self, path: str) -> list[Pick] | None:
        """The specimens that were chosen from a shard; ``None`` if none were."""
        try:
            return _unpacked(read_small(self.picks_file(path), _PICKS_BYTES))
        except (OSError, ValueError, TypeError):
            return None


def _packed(picks: Sequence[Pick]) -> bytes:
    small = [shown for pick in picks if (shown := pick.made_small())]
    rows = [[p.order, p.processid, base64.b64encode(p.photograph).decode()] for p in small]
    return json.dumps(rows).encode()


def _unpacked(text: bytes) -> list[Pick]:
    rows = json.loads(text)
    return [Pick(order, name, base64.b64decode(data), small=True) for order, name, data in rows]
