"""Write Parquet shards as the Hub wants them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.readers.formats import FORMATS, Format
from bioscan5m_hf.schema.columns import COLUMNS, IMAGE_COLUMN, RANKS, arrow_schema
from conversion.formats.base import ShardWriter, with_images

# Values that repeat over and over; the others would fill a dictionary and leave it again.
_REPEATING: Final = [
    "taxon",
    *RANKS,
    "country",
    "province_state",
    "inferred_ranks",
    "split",
    "chunk",
]
_PAGE_BYTES: Final = 1 << 20
# As ``datasets`` chunks; the Hub's viewer looks for the second of the keys, ``datasets`` writes the
# first.
_CHUNKING: Final = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
_CHUNKING_KEYS: Final = ("content_defined_chunking", "use_content_defined_chunking")


class ParquetWriter(ShardWriter):
    """Images uncompressed and plain, so that bytes are copied and never encoded.

    The other columns are compressed with Zstandard, with dictionaries where values repeat. A page
    index and content-defined chunking let the Hub's viewer read single pages, and its storage keep
    what two versions of a shard have in common. A row group has a few megabytes, which is what a
    reader fetches for its first row, and what the viewer holds. The features stand in the schema's
    metadata, so ``datasets`` knows the image column without a card.
    """

    form: ClassVar[Format] = FORMATS["parquet"]
    row_bytes: ClassVar[int] = 320
    media_type: ClassVar[str] = "application/x-parquet"
    croissant: ClassVar[bool] = True
    filters: ClassVar[bool] = True
    note: ClassVar[str] = ""

    def __init__(self, path: Path, *, image: bool) -> None:
        super().__init__(path, image=image)
        self._schema = arrow_schema(image=image)
        names = [column.name for column in COLUMNS]
        compression = dict.fromkeys(names, "zstd")
        if image:
            compression |= {f"{IMAGE_COLUMN}.bytes": "none", f"{IMAGE_COLUMN}.path": "zstd"}
        self._writer = pq.ParquetWriter(
            self._file,
            self._schema,
            compression=compression,
            use_dictionary=_REPEATING,
            write_statistics=names,
            write_page_index=True,
            use_content_defined_chunking=_CHUNKING,
            data_page_size=_PAGE_BYTES,
        )

    @staticmethod
    def read_back(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Read a shard in batches of rows."""
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=batch_rows, columns=schema.names)

    def _write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None) -> None:
        block = rows if images is None else with_images(rows, images, self._schema)
        table = pa.Table.from_batches([block.cast(self._schema)])
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _finish(self) -> None:
        told = json.dumps(_CHUNKING)
        self._writer.add_key_value_metadata(dict.fromkeys(_CHUNKING_KEYS, told))
        self._writer.close()

    def _abandon(self) -> None:
        # Closing writes a footer into a file that is about to be removed; a full disk would
        # complain once more and hide the first cause.
        self._writer.is_open = False
