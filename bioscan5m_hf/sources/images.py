"""Read the images of single rows of a piece by their numbers, for random access while training.

What is local is mapped into memory, so that an image is not copied before it is decoded. A reader
opens its file when it is first asked, and is made in the process that reads.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import ArchiveError, DataError, ImageError
from bioscan5m_hf.readers.arrow_stream import read_batch, read_schema, stored_batches
from bioscan5m_hf.readers.parquet_pages import ImagePages
from bioscan5m_hf.readers.pieces import ArrowPiece, ParquetPiece, Piece, TarPiece, opened_parquet
from bioscan5m_hf.readers.query import Numbers
from bioscan5m_hf.readers.tar import tar_samples
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from bioscan5m_hf.sources.raw_piece import RawPiece
from bioscan5m_hf.storage.inside import require_regular
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location

Encoded = bytes | memoryview


class ImageReader(Protocol):
    """Reads images of a piece."""

    def read(self, rows: Numbers) -> list[Encoded]:
        """The bytes of the images of some rows, whose numbers in the piece rise."""
        ...


def image_reader(piece: Piece) -> ImageReader:
    """The reader of the images of a whole piece.

    Args:
        piece: As ``Data.pieces`` gives it.

    Raises:
        ArchiveError: Its file cannot be read.
    """
    if isinstance(piece, ParquetPiece):
        return _ParquetImages(piece.path)
    if isinstance(piece, ArrowPiece):
        if isinstance(piece.path, Path):
            return _MappedImages(piece.path)
        return _RemoteArrowImages(piece.path)
    if isinstance(piece, TarPiece):
        return _TarImages(piece.path)
    assert isinstance(piece, RawPiece), "there are no other pieces"
    return _RawImages(piece)


class _Mapped:
    """A local file, mapped into memory: what is read of it is not copied."""

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

    def close(self) -> None:
        """The memory is given back when nobody looks at it any more."""

    def __enter__(self) -> _Mapped:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _source(path: Location) -> Source:
    return _Mapped(path) if isinstance(path, Path) else open_location(path)


class _ParquetImages:
    def __init__(self, path: Location) -> None:
        self._path = path
        self._source = _source(path)
        self._file: pq.ParquetFile = opened_parquet(path, self._source)
        metadata = self._file.metadata
        counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self._starts = np.cumsum([0, *counts])
        self._pages = ImagePages.of(self._source, metadata)

    def read(self, rows: Numbers) -> list[Encoded]:
        """The images of some rows: of the pages that hold them, or of whole row groups."""
        groups = np.searchsorted(self._starts, rows, side="right") - 1
        found: list[Encoded] = []
        for group in np.unique(groups).tolist():
            chosen = rows[groups == group] - self._starts[group]
            images = self._pages.views(group, chosen) if self._pages else None
            found += images or self._whole(group, chosen)
        return found

    def _whole(self, group: int, rows: Numbers) -> list[Encoded]:
        try:
            table = self._file.read_row_group(group, columns=[IMAGE_COLUMN], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(f"cannot be read ({error})", where=str(self._path)) from error
        return _bytes_of(table[IMAGE_COLUMN].combine_chunks(), rows, self._path)


def _bytes_of(column: pa.StructArray, rows: Numbers, path: Location) -> list[Encoded]:
    images = column.field("bytes")
    found: list[Encoded] = []
    for row in rows.tolist():
        buffer = images[row].as_buffer()
        if buffer is None:
            raise ImageError("there are no bytes of the image", where=f"{path}: a row")
        found.append(memoryview(buffer).cast("B"))
    return found


class _MappedImages:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pa.ipc.open_stream(pa.memory_map(str(require_regular(path)))) as reader:
                self._columns = [batch.column(IMAGE_COLUMN) for batch in reader]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise ArchiveError(f"cannot be read ({error})", where=str(path)) from error
        self._starts = np.cumsum([0, *map(len, self._columns)])

    def read(self, rows: Numbers) -> list[Encoded]:
        """The images of some rows, where they lie in the file."""
        batches = np.searchsorted(self._starts, rows, side="right") - 1
        found: list[Encoded] = []
        for batch in np.unique(batches).tolist():
            chosen = rows[batches == batch] - self._starts[batch]
            found += _bytes_of(self._columns[batch], chosen, self._path)
        return found


class _RemoteArrowImages:
    def __init__(self, path: Location) -> None:
        self._path = path
        self._source = open_location(path)
        self._schema = read_schema(self._source)
        self._stored = list(stored_batches(self._source))
        names = [read_batch(self._source, self._schema, each, ["split"]) for each in self._stored]
        self._starts = np.cumsum([0, *(batch.num_rows for batch in names)])

    def read(self, rows: Numbers) -> list[Encoded]:
        """The images of some rows; the images of their record batches are fetched."""
        batches = np.searchsorted(self._starts, rows, side="right") - 1
        found: list[Encoded] = []
        for number in np.unique(batches).tolist():
            batch = read_batch(self._source, self._schema, self._stored[number], [IMAGE_COLUMN])
            chosen = rows[batches == number] - self._starts[number]
            found += _bytes_of(batch.column(IMAGE_COLUMN), chosen, self._path)
        return found


class _TarImages:
    def __init__(self, path: Location) -> None:
        self._path = path
        self._source = _source(path)
        with open_location(path) as source:
            self._extents = [extent for _, extent in tar_samples(source, str(path))]

    def read(self, rows: Numbers) -> list[Encoded]:
        """The images of some rows; the headers of the tar were read when it was opened."""
        found: list[Encoded] = []
        for row in rows.tolist():
            extent = self._extents[row]
            if extent is None:
                raise DataError(f"the image of row {row} is not there", where=str(self._path))
            found.append(self._source.read_at(*extent))
        return found


class _RawImages:
    def __init__(self, piece: RawPiece) -> None:
        self._piece = piece
        self._places = piece.places()

    def read(self, rows: Numbers) -> list[Encoded]:
        """The images of some rows, proved by their checksums."""
        return self._piece.images(self._places.take(pa.array(rows)))


def read_images(
    readers: Mapping[int, ImageReader], pieces: Numbers, rows: Numbers
) -> list[Encoded]:
    """Read images of several pieces, each piece once.

    Args:
        readers: The reader of each piece, by its number.
        pieces: For each image the number of its piece.
        rows: For each image its row in the piece.

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
