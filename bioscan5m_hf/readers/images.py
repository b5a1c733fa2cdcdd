"""Read images of several pieces by their row numbers, for random access while training.

Local files are memory-mapped, so that an image is not copied before it is decoded.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.query.choice import Numbers
from bioscan5m_hf.readers.base import Encoded, ImageReader
from bioscan5m_hf.storage.inside import require_regular
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location


class _Mapped(Source):
    """A memory-mapped local file; reads do not copy.

    The file is unmapped when the last view of it is released.
    """

    def __init__(self, path: Path) -> None:
        self.location = str(path)
        try:
            with require_regular(path).open("rb") as file:
                self._data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise ArchiveError(f"cannot be mapped ({error})", where=self.location) from error
        self.size = len(self._data)

    def read_at(self, offset: int, length: int) -> Any:
        """A view of up to ``length`` bytes from ``offset``."""
        return self._data[offset : offset + length]


def open_mapped(path: Location) -> Source:
    """Open a file for random access; local files are memory-mapped.

    Raises:
        ArchiveError: It cannot be opened.
    """
    return _Mapped(path) if isinstance(path, Path) else open_location(path)


def read_images(
    readers: Mapping[int, ImageReader], pieces: Numbers, rows: Numbers
) -> list[Encoded]:
    """Read images of several pieces, with one read for each piece.

    Args:
        readers: The reader of each piece, by its number.
        pieces: The number of the piece of each image.
        rows: The number of each image's row in its piece.

    Returns:
        The bytes of the images, in the order of ``rows``.
    """
    order = np.lexsort((rows, pieces))
    found: list[Encoded] = [b""] * len(rows)
    for piece in np.unique(pieces).tolist():
        places = order[pieces[order] == piece]
        distinct, back = np.unique(rows[places], return_inverse=True)
        images = readers[piece].read(distinct)
        for place, number in zip(places.tolist(), back.tolist(), strict=True):
            found[place] = images[number]
    return found
