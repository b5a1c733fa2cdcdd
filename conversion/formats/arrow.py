"""Write Arrow shards, which can be opened without reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.readers.formats import FORMATS, Format
from bioscan5m_hf.schema.columns import arrow_schema
from conversion.formats.base import ShardWriter, with_images


class ArrowWriter(ShardWriter):
    """Uncompressed record batches in Arrow's streaming format, as ``datasets`` keeps its own files.

    A shard can be memory-mapped: its columns, images included, are used where they lie, so opening
    it costs only the description of each batch; ``datasets.Dataset.from_file`` does just that. A
    batch is therefore larger than a row group of Parquet: with 32 MB the 200 GB of original
    photographs are some 6,000 batches, whose descriptions are read in a fraction of a second, and
    a stream still gets its first row early. A random row costs the same whatever the size of its
    batch, since nothing is copied.
    """

    form: ClassVar[Format] = FORMATS["arrow"]
    row_bytes: ClassVar[int] = 1_000
    block_rows: ClassVar[int] = 8000
    block_bytes: ClassVar[int] = 32 << 20
    media_type: ClassVar[str] = "application/vnd.apache.arrow.file"

    def __init__(self, path: Path, *, image: bool) -> None:
        super().__init__(path, image=image)
        self._schema = arrow_schema(image=image)
        self._writer = pa.ipc.new_stream(self._file, self._schema)

    @staticmethod
    def read_back(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Look at a shard, a record batch at a time."""
        del schema, batch_rows
        with pa.memory_map(str(path)) as source:
            yield from pa.ipc.open_stream(source)

    def _write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None) -> None:
        columns = [canonical(column) for column in rows.columns]
        rows = pa.record_batch(columns, names=rows.schema.names)
        block = rows if images is None else with_images(rows, images, self._schema)
        self._writer.write_batch(block.cast(self._schema))

    def _finish(self) -> None:
        self._writer.close()

    def _abandon(self) -> None:
        """The library holds nothing that has to be given back."""


def canonical(array: pa.Array) -> pa.Array:
    """Lay out a column of strings or numbers in the only way that its values allow.

    What stands in the place of a missing value is left to whoever makes an array, and so is
    whether there is a bitmap where nothing is missing; a file that holds the buffers as they are
    would differ from run to run.

    Returns:
        The same values, in buffers of their own.
    """
    missing = array.is_null().to_numpy(zero_copy_only=False)
    validity = None
    if missing.any():
        validity = pa.py_buffer(np.packbits(~missing, bitorder="little").tobytes())
    if not pa.types.is_string(array.type):
        values = np.array(array.fill_null(0).to_numpy())
        return pa.Array.from_buffers(array.type, len(array), [validity, pa.py_buffer(values)])
    text = array.fill_null("")
    offsets = np.zeros(len(text) + 1, np.int32)
    np.cumsum(pc.binary_length(text).to_numpy(), out=offsets[1:])
    _, starts, data = text.buffers()
    first = int(np.frombuffer(starts, np.int32)[text.offset]) if len(text) else 0
    held = b"" if data is None else memoryview(data)[first : first + int(offsets[-1])].tobytes()
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(held)]
    return pa.Array.from_buffers(array.type, len(array), buffers)
