"""Draw what a folder shows of itself while its shards are made, which leave processors idle."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

import duckdb

from conversion.pictures.specimens import Pick, pick_specimens
from conversion.presentation import Drawn, draw
from conversion.profile import profile


class Drawing:
    """Drawing in a thread, which is given up where the context ends.

    Args:
        shards: The files of the metadata configuration.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self._connection = duckdb.connect()
        self._aside = ThreadPoolExecutor(1)
        self._drawn = self._aside.submit(lambda: draw(profile(shards, self._connection)))
        self._picks: dict[Path, Future[list[Pick]]] = {}

    def look_at(self, shard: Path) -> None:
        """Choose specimens for the contact sheet from a shard that is finished."""
        self._picks[shard] = self._aside.submit(pick_specimens, shard)

    def finish(self) -> Drawn:
        """Wait until the pictures are drawn; raises what went wrong."""
        return replace(self._drawn.result(), pick=self._pick)

    def _pick(self, shard: Path) -> list[Pick]:
        if shard not in self._picks:
            self.look_at(shard)
        return self._picks[shard].result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.interrupt()
        self._aside.shutdown(cancel_futures=True)
        self._connection.close()
