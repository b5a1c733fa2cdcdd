"""Read the samples of a WebDataset shard: records as rows, and images by their offsets."""

from __future__ import annotations

import json
import reprlib
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import ArchiveError, DataError
from bioscan5m_hf.query.choice import Numbers, taken
from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, arrow_schema, image_type
from bioscan5m_hf.storage.local import Source, SourceStream

Extent = tuple[int, int]
Sample = tuple[dict[str, Any], Extent | None]

_END_OF_TAR: Final = tarfile.EOFHeaderError  # type: ignore[attr-defined]
# A record has some 3 kB.
_LONGEST_RECORD: Final = 8 << 20


class TarEntry(tarfile.TarInfo):
    """A member of a tar; a damaged header is an error here, while ``tarfile`` would just stop."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Parse a header.

        Raises:
            EOFHeaderError: It is the end-of-archive marker.
            ValueError: It is not a header, or its member is too large.
        """
        try:
            entry = super().frombuf(buf, encoding, errors)
        except _END_OF_TAR:
            raise
        except tarfile.HeaderError as error:
            raise ValueError(f"{error}, where a member or the end should be") from error
        _check_size(entry)
        return entry


def _check_size(entry: tarfile.TarInfo) -> None:
    limit = _LONGEST_RECORD if entry.name.endswith(".json") else MAX_IMAGE_BYTES
    if not 0 <= entry.size <= limit:
        raise ValueError(f"{entry.name!r:.100} has {entry.size:,} bytes, the limit is {limit:,}")


def tar_samples(source: Source, where: str, start: int = 0) -> Iterator[Sample]:
    """Read the metadata of each specimen, and find the offset and length of its image.

    Args:
        source: The tar.
        where: The name of the tar in messages.
        start: The offset of the header of the first member to read, in bytes.

    Raises:
        ArchiveError: The tar is damaged.
        DataError: A record is missing, or has another processid than its name.
    """
    key: str | None = None
    row: dict[str, Any] | None = None
    extent: Extent | None = None
    stream = SourceStream(source)
    stream.seek(start)
    try:
        with tarfile.open(fileobj=stream, mode="r:", tarinfo=TarEntry) as tar:
            for entry in tar:
                # Otherwise ``tarfile`` would keep every member in memory.
                tar.members = []  # type: ignore[attr-defined]
                # Check again, because an extended header may have changed the size.
                _check_size(entry)
                if entry.offset_data + entry.size > source.size:
                    raise ValueError(f"it ends within {entry.name!r:.100}")
                stem, _, suffix = entry.name.partition(".")
                if stem != key:
                    if key is not None:
                        yield _whole(key, row, where), extent
                    key, row, extent = stem, None, None
                if suffix == "json":
                    row = _record(source.read_at(entry.offset_data, entry.size), entry.name)
                elif suffix == "jpg":
                    extent = (entry.offset_data, entry.size)
    except (tarfile.TarError, ValueError) as error:
        raise ArchiveError.unreadable(where, error) from error
    if key is not None:
        yield _whole(key, row, where), extent


def _record(data: bytes, name: str) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except RecursionError:
        raise ValueError(f"{name!r:.100} is nested too deep") from None
    if not isinstance(record, dict):
        raise ValueError(f"{name!r:.100} is not a record but {reprlib.repr(record)}")
    return record


def _whole(key: str, row: dict[str, Any] | None, where: str) -> dict[str, Any]:
    if row is None:
        raise DataError(f"{key}.json is not beside {key}.jpg", where=where, fix="get it again")
    if (found := row.get("processid", key)) != key:
        raise DataError(
            f"{key}.json is the record of {found!r:.60}", where=where, fix="get it again"
        )
    return row


def table_of(rows: list[dict[str, Any]], where: str) -> pa.Table:
    """Turn records of a tar shard into a table.

    Raises:
        ArchiveError: A record lacks columns.
        DataError: A record does not fit the schema.
    """
    schema = arrow_schema(image=False)
    schema_names = frozenset(schema.names)
    for row in rows:
        if len(missing := schema_names - row.keys()):
            raise ArchiveError.without_columns(
                f"{where}: {row.get('processid')}.json", sorted(missing)
            )
    try:
        return pa.Table.from_pylist(rows, schema=schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        # Arrow does not say which record is wrong, so each one is tried alone.
        if len(rows) == 1:
            detail = str(error).partition("\n")[0]
            name = str(rows[0].get("processid"))
            raise DataError(
                f"the record of {name!r:.60} does not fit the schema ({detail:.160})",
                where=where,
                fix="get it again",
            ) from error
    return pa.concat_tables(table_of([row], where) for row in rows)


def read_samples(
    source: Source,
    metadata: pa.Table,
    extents: Sequence[Extent | None],
    names: Sequence[str],
    chosen: Numbers | None,
) -> pa.Table:
    """Take some columns of records, and read the images if they are among these columns.

    Raises:
        DataError: A sample has no image.
    """
    numbers = np.arange(metadata.num_rows) if chosen is None else chosen
    metadata = taken(metadata, chosen)
    table = metadata.select([name for name in names if name != IMAGE_COLUMN])
    if IMAGE_COLUMN not in names:
        return table
    images = []
    for number, processid in zip(numbers.tolist(), metadata["processid"].to_pylist(), strict=True):
        extent = extents[number]
        if extent is None:
            raise DataError(
                f"{processid}.jpg is missing", where=source.location, fix="get it again"
            )
        images.append({"bytes": source.read_at(*extent), "path": f"{processid}.jpg"})
    return table.append_column(IMAGE_COLUMN, pa.array(images, image_type()))
