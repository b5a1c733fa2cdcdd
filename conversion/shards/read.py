"""Read shards of any format back, to verify them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioscan5m_hf.memory import require_memory
from bioscan5m_hf.readers.formats import SUFFIXES
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, arrow_schema
from bioscan5m_hf.storage.inside import require_regular
from conversion.formats.registry import writer_named

_BATCH: Final = 500


class BrokenShard(ValueError):
    """A file that is not a shard of its format."""


def read_shard(
    path: Path, columns: Sequence[str], batch_rows: int = _BATCH
) -> Iterator[pa.RecordBatch]:
    """Read a shard.

    Args:
        path: The file; its suffix determines the format.
        columns: The columns to read.
        batch_rows: How many rows a batch has at most, unless the file itself has batches.

    Yields:
        Record batches of these columns, with the types of the schema, in the order of the rows.

    Raises:
        BrokenShard: The file is not a shard of its format.
        OSError: It cannot be read, or is not a regular file.
    """
    writer = writer_named(SUFFIXES[path.suffix].name)
    whole = arrow_schema(image=IMAGE_COLUMN in columns)
    schema = pa.schema([whole.field(name) for name in columns])
    try:
        for batch in writer.read_back(require_regular(path), schema, batch_rows):
            yield batch.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        require_memory(error)
        raise BrokenShard(str(error).partition("\n")[0]) from error
