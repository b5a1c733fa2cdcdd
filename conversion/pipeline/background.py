"""Build the metadata configuration and the figures in a thread while shards are being made."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

from conversion.card.figures.specimens import Pick, contact_sheet, pick_specimens
from conversion.card.front_matter import shown_package
from conversion.card.presentation import Drawn, draw
from conversion.planning.tasks import ShardTask
from conversion.shards.metadata import MetadataPlan, StoredMetadata, write_metadata


class BackgroundWork:
    """Work in a thread, which is cancelled when the ``with`` block ends."""

    def __init__(self, plan: MetadataPlan, tasks: Sequence[ShardTask]) -> None:
        self._plan = plan
        self._shown = _shown(tasks)
        self._stopped = threading.Event()
        self._aside = ThreadPoolExecutor(1)
        self._stored = self._aside.submit(write_metadata, plan, self._stopped)
        self._drawn = self._aside.submit(self._draw)
        self._picks: dict[Path, Future[list[Pick]]] = {}
        self._sheet: Future[bytes | None] | None = None

    def look_at(self, shard: Path) -> None:
        """Choose specimens from a finished shard, if the contact sheet shows this shard.

        The sheet is drawn as soon as the last of its shards is finished.
        """
        if shard not in self._shown or shard in self._picks:
            return
        self._picks[shard] = self._aside.submit(pick_specimens, shard)
        if len(self._picks) == len(self._shown):
            self._sheet = self._aside.submit(self._draw_sheet, self._shown)

    def stored(self) -> StoredMetadata:
        """Wait until the metadata are written; raises the error if that failed."""
        return self._stored.result()

    def drawn(self) -> Drawn:
        """Wait until the figures are drawn; raises the error if that failed."""
        return replace(self._drawn.result(), sheet=self._sheet_of)

    def _draw(self) -> Drawn:
        return draw(self._stored.result().profile)

    def _sheet_of(self, shards: Sequence[Path]) -> bytes | None:
        """Return the sheet, and draw it now if it needs other shards than expected."""
        if self._sheet and list(shards) == self._shown:
            return self._sheet.result()
        return self._draw_sheet(shards)

    def _draw_sheet(self, shards: Sequence[Path]) -> bytes | None:
        found = [
            self._picks[shard].result() if shard in self._picks else pick_specimens(shard)
            for shard in shards
        ]
        picks = [pick for picks in found for pick in picks]
        return contact_sheet(picks, self._stored.result().profile.orders)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._aside.shutdown(cancel_futures=True)


def _shown(tasks: Sequence[ShardTask]) -> list[Path]:
    """The shards that the contact sheet will probably show."""
    package = shown_package({task.shard.configuration for task in tasks})
    return [
        task.path for task in tasks if task.shard.configuration == package and task.shard.index == 0
    ]
