"""Define the interface through which a conversion hands its finished shards to an upload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from conversion.files.atomic import Written
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult

if TYPE_CHECKING:
    from conversion.card.figures.specimens import Pick


class Sink(Protocol):
    """Uploads finished shards, for example to the Hub or to a remote store."""

    def has(self, path: str, written: Written) -> bool:
        """Whether a shard with these bytes was already uploaded."""
        ...

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None:
        """Announce the shards that will be made, and their size at most."""
        ...

    def has_room(self, running: int) -> bool:
        """Whether one more shard may be started while ``running`` shards are being made."""
        ...

    def take(self, task: ShardTask, result: ShardResult) -> None:
        """Take over a finished shard."""
        ...

    def picks(self, paths: Sequence[str]) -> Sequence[Pick]:
        """Specimens for the contact sheet, chosen from these shards before their upload."""
        ...

    def finish(self) -> None:
        """Wait until all shards are uploaded; no more will come."""
        ...
