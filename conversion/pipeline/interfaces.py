"""Define what a conversion talks to: who is told how it goes, and who takes finished shards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from conversion.files.atomic import Written
from conversion.planning.tasks import ShardTask
from conversion.progress import Watcher
from conversion.shards.build import ShardResult

if TYPE_CHECKING:
    from conversion.card.figures.specimens import Pick


class Reporter(Watcher, Protocol):
    """Told how a conversion goes."""

    def begin(self, images: int, done: int) -> None:
        """So many images are going to be converted, of which some are done."""
        ...

    def reached(self, images: int) -> None:
        """So many of those that were not done are done now."""
        ...

    def end(self) -> None:
        """All are done."""
        ...


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
