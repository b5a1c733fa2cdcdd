"""What is made beside the shards, which leave processors idle: the metadata and the pictures."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

from conversion.pictures.specimens import Pick, pick_specimens
from conversion.presentation import Drawn, draw
from conversion.stored_metadata import MetadataPlan, StoredMetadata, write_metadata


class Beside:
    """Work in a thread, which is given up where the context ends.

    Args:
        plan: The metadata configuration; it is written, counted and drawn.
    """

    def __init__(self, plan: MetadataPlan) -> None:
        self._plan = plan
        self._stopped = threading.Event()
        self._aside = ThreadPoolExecutor(1)
        self._stored = self._aside.submit(write_metadata, plan, self._stopped)
        self._drawn = self._aside.submit(self._draw)
        self._picks: dict[Path, Future[list[Pick]]] = {}

    def look_at(self, shard: Path) -> None:
        """Choose specimens for the contact sheet from a shard that is finished."""
        self._picks[shard] = self._aside.submit(pick_specimens, shard)

    def stored(self) -> StoredMetadata:
        """Wait until the metadata are written; raises what went wrong."""
        return self._stored.result()

    def drawn(self) -> Drawn:
        """Wait until the pictures are drawn; raises what went wrong."""
        return replace(self._drawn.result(), pick=self._pick)

    def _draw(self) -> Drawn:
        return draw(self._stored.result().profile)

    def _pick(self, shard: Path) -> list[Pick]:
        if shard not in self._picks:
            self.look_at(shard)
        return self._picks[shard].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._aside.shutdown(cancel_futures=True)
