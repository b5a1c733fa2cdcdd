"""Write Parquet shards with the settings that the Hub recommends."""

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

# Columns whose values repeat. For other columns, the writer would fill a dictionary up to its
# limit, and then continue without it.
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
# The chunking settings of ``datasets``. It writes the first of the two keys, and the Hub's viewer
# looks for the second one.
_CHUNKING: Final = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20, "norm_level": 0}
_CHUNKING_KEYS: Final = ("content_defined_chunking", "use_content_defined_chunking")


class ParquetWriter(ShardWriter):
    """Writes images uncompressed and with plain encoding, so that their bytes are only copied.

    The other columns are compressed with Zstandard, and with dictionaries if their values repeat.
    With the page index, the Hub's viewer can read single pages. With content-defined chunking, the
    Hub stores the common parts of two versions of a shard only once. A row group has a few
    megabytes, because a reader fetches a whole group for its first row, and the viewer holds it in
    memory. The schema's metadata contain the features, so ``datasets`` recognises the image column
    without a card.
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
        chunking = json.dumps(_CHUNKING)
        self._writer.add_key_value_metadata(dict.fromkeys(_CHUNKING_KEYS, chunking))
        self._writer.close()

    def _abandon(self) -> None:
        # Closing would write a footer into a file that is about to be removed. On a full disk,
        # that would fail again and hide the first error.
        self._writer.is_open = False
