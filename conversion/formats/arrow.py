"""Write Arrow shards, which can be memory-mapped and so opened without reading them."""

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
    """Writes uncompressed record batches as an Arrow stream, like the cache files of ``datasets``.

    A shard can be memory-mapped, as ``datasets.Dataset.from_file`` does. Its columns, including
    images, are not copied, so opening it reads only the metadata of each batch. A batch is
    therefore larger than a row group of Parquet: with 32 MB, the 200 GB of original photographs
    make some 6,000 batches. Their metadata are read in a fraction of a second, and a stream still
    yields its first row early. A random row takes the same time for any batch size, because
    nothing is copied.
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
        """Read a shard, one record batch at a time."""
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
        """Do nothing, because the library holds no resources."""


def canonical(array: pa.Array) -> pa.Array:
    """Lay out a column of strings or numbers in a way that depends only on its values.

    The creator of an Arrow array chooses the bytes in place of a missing value, and whether there
    is a validity bitmap if no value is missing. A file with such buffers would differ from run to
    run.

    Returns:
        The same values, in new buffers.
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
