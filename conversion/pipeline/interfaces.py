"""Define what takes the finished shards of a conversion away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from conversion.files.atomic import Written
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

if TYPE_CHECKING:
    from conversion.card.figures.specimens import Pick


class Sink(Protocol):
    """Takes finished shards away, such as to the Hub or to a store behind a URL."""

    def has(self, path: str, written: Written) -> bool:
        """Whether a shard with these bytes was taken already."""
        ...

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None:
        """These shards are going to be made, of such a size at most."""
        ...

    def has_room(self, running: int) -> bool:
        """Whether one more shard may be begun while so many are being made."""
        ...

    def take(self, task: ShardTask, result: ShardResult) -> None:
        """A shard is finished."""
        ...

    def picks(self, paths: Sequence[str]) -> Sequence[Pick]:
        """Specimens to show, chosen from some shards before they were taken away."""
        ...

    def finish(self) -> None:
        """No more shards come: wait until all are taken away."""
        ...
