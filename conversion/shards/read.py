"""Read shards back, of any format, for proving them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.schema.columns import IMAGE_COLUMN, arrow_schema
from bioscan5m_hf.storage.inside import require_regular

_BLOCK: Final = 512
_BATCH: Final = 500


class BrokenShard(ValueError):
    """A file that is not a shard of its format."""


def read_shard(
    path: Path, columns: Sequence[str], batch_rows: int = _BATCH
) -> Iterator[pa.RecordBatch]:
    """Read a shard.

    Args:
        path: The file; its suffix tells the format.
        columns: The columns that are wanted.
        batch_rows: How many rows a batch has at most, where the file does not settle that.

    Yields:
        Record batches of these columns, with the types of the schema, in the order of the rows.

    Raises:
        BrokenShard: The file is not a shard of its format.
        OSError: It cannot be read, or is no regular file.
    """
    readers = {".parquet": _read_parquet, ".arrow": _read_arrow, ".tar": _read_tar}
    whole = arrow_schema(image=IMAGE_COLUMN in columns)
    schema = pa.schema([whole.field(name) for name in columns])
    try:
        for batch in readers[path.suffix](require_regular(path), schema, batch_rows):
            yield batch.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise BrokenShard(str(error).partition("\n")[0]) from error


def _read_parquet(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=batch_rows, columns=schema.names)


def _read_arrow(path: Path, _schema: pa.Schema, _batch_rows: int) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        yield from pa.ipc.open_stream(source)


def _read_tar(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    members = _tar_members(path)
    for (name, image), (other, text) in zip(members, members, strict=True):
        row = json.loads(text)
        processid = row["processid"]
        if (name, other) != (f"{processid}.jpg", f"{processid}.json"):
            raise BrokenShard(f"the members {name} and {other} do not belong together")
        row[IMAGE_COLUMN] = {"bytes": image, "path": name}
        rows.append({column: row[column] for column in schema.names})
        if len(rows) == batch_rows:
            yield pa.RecordBatch.from_pylist(rows, schema)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema)


def _tar_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The members of a plain USTAR archive of regular files."""
    with path.open("rb") as file:
        while (header := file.read(_BLOCK)) != bytes(_BLOCK):
            if len(header) < _BLOCK or header[257:263] != b"ustar\0":
                raise BrokenShard(f"no tar header at byte {file.tell() - len(header):,}")
            size = int(header[124:135], 8)
            data = file.read(size)
            file.seek(-size % _BLOCK, 1)
            if len(data) < size:
                raise BrokenShard("it ends within a member")
            yield header[:100].rstrip(b"\0").decode(), data
