"""Read single pages of the images of a Parquet file by its page index, which pyarrow cannot do.

``pyarrow`` reads all images of a row group. The converter stores images plain-encoded and without
compression, in pages of about one megabyte. Of such files, only the pages that hold a requested row
are read here, and only the requested images are copied. For other files this module returns
``None``, and the caller reads whole row groups.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.query.choice import Numbers
from bioscan5m_hf.readers.thrift import CompactReader, ThriftError
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.ranges import Limits, requests_in_order

_END: Final = struct.Struct("<I4s")
_LENGTH: Final = struct.Struct("<I")
_MAGIC: Final = b"PAR1"
_BYTES: Final = f"{IMAGE_COLUMN}.bytes"
_PATH: Final = f"{IMAGE_COLUMN}.path"
# So many bytes hold the footer and the page index of most shards.
_TAIL_BYTES: Final = 64 << 10
_DATA_PAGE: Final = 0
_PLAIN: Final = 0
# Adjacent pages are read with one request, however many they are.
_ADJACENT: Final = Limits(window=1 << 62, request=1 << 62, gap=0)


@dataclass(frozen=True, slots=True)
class Page:
    """The place of a page in a file.

    Attributes:
        offset: The offset of its header in the file, in bytes.
        length: Its length with the header, in bytes.
        first: The number of its first row in the row group.
        stop: The number of the row after its last.
    """

    offset: int
    length: int
    first: int
    stop: int


class ImagePages:
    """The pages of the column ``image.bytes``.

    Args:
        source: The file.
        rows: How many rows each row group has.
        column: The number of the column among the leaves of the schema.
    """

    def __init__(self, source: Source, rows: list[int], column: int) -> None:
        self._source = source
        self._rows = rows
        self._column = column
        self._indexes: list[bytes] | None = None
        self._located: dict[int, list[Page]] = {}
        self._edges: dict[int, npt.NDArray[np.uint32]] = {}

    @classmethod
    def of(cls, source: Source, metadata: Any) -> Self | None:
        """Find the pages, if they can be read one by one.

        Returns:
            The pages; ``None`` if images are compressed, not plain-encoded or may be repeated, or
            if there is no page index.
        """
        schema = metadata.schema
        paths = [schema.column(number).path for number in range(len(schema.names))]
        if _BYTES not in paths or _PATH not in paths:
            return None
        column = paths.index(_BYTES)
        leaf = schema.column(column)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        chunks = [group.column(column) for group in groups]
        plain = all(
            chunk.compression == "UNCOMPRESSED"
            and chunk.physical_type == "BYTE_ARRAY"
            and set(chunk.encodings) <= {"PLAIN", "RLE"}
            and chunk.has_offset_index
            for chunk in chunks
        )
        if not plain or leaf.max_repetition_level or not leaf.max_definition_level:
            return None
        return cls(source, [group.num_rows for group in groups], column)

    def read(self, group: int, rows: Numbers) -> pa.Array | None:
        """Read the images of some rows.

        Args:
            group: The number of their row group.
            rows: Their numbers in the row group, ascending.

        Returns:
            The bytes of each; ``None`` if the pages are of another kind, lack an image, or are
            damaged. Reading the whole row group then shows which of these it is.

        Raises:
            ArchiveError: The file cannot be read.
        """
        images = self.views(group, rows)
        return None if images is None else _array(images)

    def views(self, group: int, rows: Numbers) -> list[memoryview] | None:
        """Like ``read``, but returns views of the bytes that were read from the file."""
        try:
            if group not in self._located:
                self._located[group] = self._pages(group)
            return self._images(self._located[group], rows)
        except (ThriftError, KeyError, TypeError, IndexError, ValueError, struct.error):
            return None

    def _images(self, pages: list[Page], rows: Numbers) -> list[memoryview]:
        held = np.searchsorted([page.first for page in pages], rows, side="right") - 1
        images: list[memoryview] = []
        wanted = [pages[number] for number in np.unique(held).tolist()]
        reads = [(0, page.offset, page.offset + page.length) for page in wanted]
        for first, after in requests_in_order(reads, _ADJACENT, len(reads)):
            stretch = wanted[first:after]
            start = stretch[0].offset
            length = stretch[-1].offset + stretch[-1].length - start
            data = memoryview(self._source.read_at(start, length))
            for page in stretch:
                held_page = data[page.offset - start :][: page.length]
                # Cached, because random access reads a page many times, and walking through the
                # lengths in it took a tenth of the time of decoding an image.
                if (edges := self._edges.get(page.offset)) is None:
                    edges = self._edges[page.offset] = _edges(held_page, page)
                chosen = rows[(rows >= page.first) & (rows < page.stop)] - page.first
                ends = zip(edges[chosen].tolist(), edges[chosen + 1].tolist(), strict=True)
                images += [held_page[begin + _LENGTH.size : end] for begin, end in ends]
        return images

    def _pages(self, group: int) -> list[Page]:
        if self._indexes is None:
            self._indexes = _page_indexes(self._source, self._column)
        index = CompactReader(self._indexes[group]).struct()
        found = [(int(each[1]), int(each[2]), int(each[3])) for each in index[1]]
        stops = [first for _, _, first in found[1:]] + [self._rows[group]]
        return [
            Page(offset, length, first, stop)
            for (offset, length, first), stop in zip(found, stops, strict=True)
        ]


def _page_indexes(source: Source, column: int) -> list[bytes]:
    """The page index of one column for each row group; all of them lie before the footer."""
    tail = _read_tail(source, _TAIL_BYTES)
    length, magic = _END.unpack(tail[-_END.size :])
    if magic != _MAGIC:
        raise ThriftError("it has no footer")
    if len(tail) < length + _END.size:
        tail = _read_tail(source, length + _END.size)
    footer = CompactReader(tail, len(tail) - length - _END.size).struct()
    chunks = [group[1][column] for group in footer[4]]
    extents = [(int(chunk[4]), int(chunk[5])) for chunk in chunks]
    start = min((offset for offset, _ in extents), default=source.size)
    if start < source.size - len(tail):
        stop = max(offset + length for offset, length in extents)
        held = source.read_at(start, stop - start)
    else:
        start, held = source.size - len(tail), tail
    return [held[offset - start :][:length] for offset, length in extents]


def _read_tail(source: Source, length: int) -> bytes:
    start = max(0, source.size - length)
    return source.read_at(start, source.size - start)


def _edges(data: memoryview, page: Page) -> npt.NDArray[np.uint32]:
    """The offset of each value of a page (it begins with its length), and the end of the last."""
    reader = CompactReader(data)
    header = reader.struct()
    if header[1] != _DATA_PAGE or header[5][2] != _PLAIN:
        raise ThriftError("a page is not of the kind that the footer says")
    position = reader.position
    # Skip the levels, which mark missing values: if there are as many values as rows, none is
    # missing.
    position += _LENGTH.size + _LENGTH.unpack_from(data, position)[0]
    edges = [position]
    for _ in range(page.stop - page.first):
        position += _LENGTH.size + _LENGTH.unpack_from(data, position)[0]
        edges.append(position)
    if position != len(data):
        raise ThriftError("the rows of a page differ from the page index, or an image is missing")
    return np.array(edges, np.uint32)


def _array(images: list[memoryview]) -> pa.BinaryArray:
    offsets = np.fromiter(itertools.accumulate(map(len, images), initial=0), np.int64)
    kind = pa.binary() if offsets[-1] < 1 << 31 else pa.large_binary()
    width = np.int32 if kind == pa.binary() else np.int64
    buffers = [None, pa.py_buffer(offsets.astype(width)), pa.py_buffer(b"".join(images))]
    return pa.Array.from_buffers(kind, len(images), buffers)
