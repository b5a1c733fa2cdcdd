"""Read images by their row numbers from several pieces, for random access while training.

What is local is mapped into memory, so that an image is not copied before it is decoded.
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
    """A local file, mapped into memory: what is read of it is not copied.

    The memory is given back when nobody looks at it any more.
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
        """Look at up to ``length`` bytes from ``offset``."""
        return self._data[offset : offset + length]


def open_mapped(path: Location) -> Source:
    """Open a file for random access, mapped into memory where it is local.

    Raises:
        ArchiveError: It cannot be opened.
    """
    return _Mapped(path) if isinstance(path, Path) else open_location(path)


def read_images(
    readers: Mapping[int, ImageReader], pieces: Numbers, rows: Numbers
) -> list[Encoded]:
    """Read images of several pieces, each piece once.

    Returns:
        The bytes of the images, in the order in which they were asked for.
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
