"""Finished images on disk, to be copied under the names of many specimens."""

from __future__ import annotations

import os
import tempfile
from array import array
from pathlib import Path
from typing import Self

from conversion.sample.package import Body


class BodyStore:
    """Keeps the images of one package in the order in which they are added.

    Args:
        folder: Where its nameless file lies while it is open.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._offsets = array("q", [0])
        self._plain_sizes = array("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._plain_sizes)

    def add(self, body: Body) -> None:
        """Keep one more image."""
        self._file.write(body.plain)
        self._file.write(body.deflated)
        size = len(body.plain) + len(body.deflated)
        self._offsets.append(self._offsets[-1] + size)
        self._plain_sizes.append(len(body.plain))

    def flush(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def read(self, number: int) -> Body:
        """Fetch an image.

        Args:
            number: Its place in the order of adding.
        """
        start = self._offsets[number]
        data = os.pread(self._file.fileno(), self._offsets[number + 1] - start, start)
        size = self._plain_sizes[number]
        return Body(data[:size], data[size:])

    def mean_size(self) -> float:
        """The mean number of bytes of an image."""
        return sum(self._plain_sizes) / max(1, len(self))
