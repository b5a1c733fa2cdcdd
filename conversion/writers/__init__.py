"""The formats that a dataset folder can have, one writer each."""

from __future__ import annotations

from typing import Final

from bioscan5m_hf.errors import UnknownName
from conversion.writers.arrow import ArrowWriter
from conversion.writers.base import ShardWriter
from conversion.writers.parquet import ParquetWriter
from conversion.writers.webdataset import WebDatasetWriter

FORMATS: Final[dict[str, type[ShardWriter]]] = {
    "parquet": ParquetWriter,
    "arrow": ArrowWriter,
    "webdataset": WebDatasetWriter,
}


SUFFIXES: Final = frozenset(writer.suffix for writer in FORMATS.values())
"""What the names of shards end with, in whatever format."""


def writer_named(name: str) -> type[ShardWriter]:
    """Find the writer of a format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise UnknownName.of("format", name, FORMATS) from None


def metadata_writer(name: str) -> type[ShardWriter]:
    """The writer of the metadata in a folder of a format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    writer = writer_named(name)
    return writer.metadata_writer or writer
