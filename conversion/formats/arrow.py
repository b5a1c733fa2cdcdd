"""Write Arrow shards, which can be opened without reading them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from bioscan5m_hf.readers.formats import FORMATS, Format
from bioscan5m_hf.schema.columns import arrow_schema
from conversion.formats.base import Images, ShardWriter, with_images
from conversion.formats.canonical import canonical


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

    def _write(self, rows: pa.RecordBatch, images: Images | None) -> None:
        columns = [canonical(column) for column in rows.columns]
        rows = pa.record_batch(columns, names=rows.schema.names)
        block = rows if images is None else with_images(rows, images, self._schema)
        self._writer.write_batch(block.cast(self._schema))

    def _finish(self) -> None:
        self._writer.close()

    def _abandon(self) -> None:
        """The library holds nothing that has to be given back."""
