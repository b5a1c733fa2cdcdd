"""Read WebDataset shards: tars with ``<processid>.jpg`` and ``<processid>.json`` of each specimen.

When iterating over a local tar, images that are not requested are skipped; a remote tar is read
whole.
"""

from __future__ import annotations

import functools
import itertools
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import DataError
from bioscan5m_hf.query.choice import Choice, Numbers
from bioscan5m_hf.readers.base import Blocks, Encoded, ImageReader, Piece, ShardReader, read_wanted
from bioscan5m_hf.readers.images import open_mapped
from bioscan5m_hf.readers.tar import Sample, TarEntry, read_samples, table_of, tar_samples
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import HeldPart, ReadAhead

_BATCH: Final = 200
# So many bytes hold several specimens, unless images are of full size.
_STRETCH_BYTES: Final = 128 << 10
_TAR_BLOCK: Final = 512
_MAGIC: Final = slice(257, 262)


class WebDatasetReader(ShardReader):
    """A tar; it has no directory, and so cannot be divided into blocks."""

    __slots__ = ()

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows; images of other rows are skipped."""
        with open_location(self.path) as file:
            source: Source = file if isinstance(self.path, Path) else ReadAhead(file)
            samples = tar_samples(source, str(self.path))
            for rows, images in iter(lambda: _take(samples, _BATCH), ([], [])):
                table = table_of(rows, str(self.path))
                read = functools.partial(read_samples, source, table, images)
                yield from read_wanted(choice, read)

    def divide(self) -> list[Piece]:
        """The whole tar."""
        return [self]

    def open_blocks(self, stack: ExitStack) -> Blocks:
        """Open the shard; its blocks are stretches of equal length."""
        return _Blocks(self.path, stack.enter_context(open_location(self.path)))

    def open_images(self) -> ImageReader:
        """Open the shard, and read all its headers once."""
        return _Images(self.path)


def _take(samples: Iterator[Sample], count: int) -> tuple[list[Any], list[Any]]:
    taken = list(itertools.islice(samples, count))
    return [row for row, _ in taken], [extent for _, extent in taken]


class _Blocks:
    """Stretches of a tar. They can be read alone, because headers can be recognised anywhere."""

    def __init__(self, path: Location, source: Source) -> None:
        self._where = str(path)
        self._source = source
        self.edges = np.append(np.arange(0, source.size, _STRETCH_BYTES), source.size)
        self._held: dict[int, tuple[HeldPart, dict[str, int]]] = {}

    def names(self, block: int) -> list[str]:
        """The processids of the specimens that begin in a stretch."""
        return list(self._members(block)[1])

    def _members(self, block: int) -> tuple[HeldPart, dict[str, int]]:
        """A stretch, and the offset in the tar of each specimen that begins in it."""
        if block not in self._held:
            start, stop = self.edges[block : block + 2].tolist()
            held = HeldPart(self._source, start, min(stop + _STRETCH_BYTES // 4, self._source.size))
            self._held[block] = held, dict(_images_from(held, start, stop))
        return self._held[block]

    def read(self, block: int, rows: Numbers, columns: Sequence[str]) -> pa.Table:
        """Read some specimens of a stretch."""
        held, members = self._members(block)
        starts = list(members.values())
        samples = [
            next(tar_samples(held, self._where, starts[row])) for row in np.asarray(rows).tolist()
        ]
        table = table_of([row for row, _ in samples], self._where)
        return read_samples(held, table, [extent for _, extent in samples], columns, None)


def _images_from(source: Source, start: int, stop: int) -> list[tuple[str, int]]:
    """The processid of each image whose header is in a stretch, and the header's offset."""
    found: list[tuple[str, int]] = []
    position = start
    while position < stop:
        header = source.read_at(position, _TAR_BLOCK)
        entry = _entry(header)
        if entry is None:
            # Not a header: inside a member that began earlier, or after the last member.
            position += _TAR_BLOCK
            continue
        stem, _, suffix = entry.name.partition(".")
        if suffix == "jpg":
            found.append((stem, position))
        position += _TAR_BLOCK * (1 - -entry.size // _TAR_BLOCK)
    return found


def _entry(header: bytes) -> tarfile.TarInfo | None:
    if header[_MAGIC] != b"ustar":
        return None
    try:
        return TarEntry.frombuf(header, "utf-8", "strict")
    except (ValueError, tarfile.TarError):
        return None


class _Images:
    def __init__(self, path: Location) -> None:
        self._path = path
        self._source = open_mapped(path)
        with open_location(path) as source:
            self._extents = [extent for _, extent in tar_samples(source, str(path))]

    def read(self, rows: Numbers) -> list[Encoded]:
        found: list[Encoded] = []
        for row in rows.tolist():
            extent = self._extents[row]
            if extent is None:
                raise DataError(f"the image of row {row} is missing", where=str(self._path))
            found.append(self._source.read_at(*extent))
        return found
