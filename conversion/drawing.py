"""Draw what the metadata tell while the shards are made, which leave a processor idle at times."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import duckdb

from conversion.presentation import Drawn, draw
from conversion.profile import profile


class Drawing:
    """Drawing in a thread, which is given up where the context ends with an error.

    Args:
        shards: The files of the metadata configuration.
    """

    def __init__(self, shards: Sequence[Path]) -> None:
        self._connection = duckdb.connect()
        self._aside = ThreadPoolExecutor(1)
        self._drawn = self._aside.submit(lambda: draw(profile(shards, self._connection)))

    def finish(self) -> Drawn:
        """Wait until it is done; raises what went wrong."""
        return self._drawn.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.interrupt()
        self._aside.shutdown()
        self._connection.close()
