"""The formats that a dataset folder can have, one writer each."""

from __future__ import annotations

from typing import Final

from bioscan5m_hf.sources.manifest import SUFFIXES, format_named
from conversion.formats.arrow import ArrowWriter
from conversion.formats.base import ShardWriter
from conversion.formats.parquet import ParquetWriter
from conversion.formats.webdataset import WebDatasetWriter

FORMATS: Final[dict[str, type[ShardWriter]]] = {
    SUFFIXES[writer.suffix]: writer for writer in (ParquetWriter, ArrowWriter, WebDatasetWriter)
}


def writer_named(name: str) -> type[ShardWriter]:
    """Find the writer of a format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    return FORMATS[format_named(name)]


def metadata_writer(name: str) -> type[ShardWriter]:
    """The writer of the metadata in a folder of a format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    writer = writer_named(name)
    return writer.metadata_writer or writer
