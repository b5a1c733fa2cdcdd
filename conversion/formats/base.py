"""Define what every shard writer does, and what a format says of itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pyarrow as pa

from bioscan5m_hf.readers.formats import Format
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, image_type
from conversion.files.atomic import AtomicFile, Unseen, Whole, Written
from conversion.formats.samples import SampleExtras


class Shape(NamedTuple):
    """Name, rows and length of a shard."""

    name: str
    rows: int
    bytes: int


class ShardWriter(Whole):
    """Writes one shard, block by block; the file appears when the context ends well.

    Attributes:
        form: The format, for the names that it goes by.
        row_bytes: What a specimen takes in a shard beside the bytes of its image; upstream's rows
            have some 1,000 bytes of text.
        block_rows: How many specimens a block should have at most.
        block_bytes: How many bytes of images a block should have at most.
        metadata_writer: What writes the metadata in a folder of this format, where the format
            itself cannot.
        ending: What names of folders and repositories of the format end with, if not its own name.
        media_type: Its media type, for Croissant.
        croissant: Whether Croissant's own reader reads it.
        filters: Whether ``datasets`` takes ``filters=`` for it.
        record_code: The columns of a row as ``datasets`` reads it, in Python.
        image_column: The name of the image in such a row.
        samples: Whether it is a format of samples, whose records hold the numbers of labels.
        note: What the card says of the format below its examples.
    """

    form: ClassVar[Format]
    row_bytes: ClassVar[int]
    block_rows: ClassVar[int] = 1000
    block_bytes: ClassVar[int] = 6 << 20
    metadata_writer: ClassVar[type[ShardWriter] | None] = None
    ending: ClassVar[str | None] = None
    media_type: ClassVar[str]
    croissant: ClassVar[bool] = False
    filters: ClassVar[bool] = False
    record_code: ClassVar[str] = "row"
    image_column: ClassVar[str] = IMAGE_COLUMN
    samples: ClassVar[bool] = False
    note: ClassVar[str] = (
        "The Hub's Dataset Viewer shows Parquet only, so it does not show these shards.\n"
    )

    def __init__(self, path: Path, *, image: bool) -> None:
        del image
        self.rows = 0
        self._file = AtomicFile(path)

    def add_to_samples(self, extras: SampleExtras, vocabularies: Path) -> None:
        """Say what a sample has beside image and record, before the first is written."""
        del extras, vocabularies
        raise AssertionError("only a format of samples is asked for this")

    @classmethod
    def companions(cls, shards: Mapping[str, Sequence[Shape]]) -> dict[str, bytes]:
        """Small files that belong beside the shards of a configuration.

        Returns:
            The content of each file, by its name.
        """
        del shards
        return {}

    @classmethod
    def declared_features(cls) -> list[dict[str, Any]]:
        """The features as the card declares them, where the files do not carry them."""
        return []

    @staticmethod
    @abstractmethod
    def read_back(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Read a shard strictly as it was written, for proving it.

        Args:
            path: The file.
            schema: The columns that are wanted; there may be others beside them.
            batch_rows: How many rows a batch has at most, where the file does not settle that.

        Raises:
            ArrowException, KeyError, ValueError: The file is not a shard of the format.
        """

    def write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None = None) -> None:
        """Append one block of specimens: a row group, or a record batch.

        Args:
            rows: Upstream's columns, in their order.
            images: The bytes of each specimen's image, in the same order; none for a
                configuration without images.
        """
        self._write(rows, images)
        self.rows += rows.num_rows

    @abstractmethod
    def _write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None) -> None: ...

    @abstractmethod
    def _finish(self) -> None:
        """Write what the format wants at the end of a file."""

    @abstractmethod
    def _abandon(self) -> None:
        """Give back what the format's library holds, after a failure."""

    def commit(self) -> Written:
        """Finish the file and let it appear; returns its length and digest."""
        self._finish()
        return self._file.commit()

    def hand_over(self) -> Unseen:
        """Finish the file, and leave it to somebody else to let it appear."""
        self._finish()
        return self._file.hand_over()

    def discard(self) -> None:
        """Remove what was written; the shard does not appear."""
        try:
            self._abandon()
        finally:
            self._file.discard()

    @property
    def closed(self) -> bool:
        """Whether it was committed or discarded."""
        return self._file.closed


def image_array(images: pa.BinaryArray, processids: pa.Array) -> pa.StructArray:
    """The column ``image`` of a block: a struct of bytes and of the path ``<processid>.jpg``."""
    paths = pa.compute.binary_join_element_wise(processids, ".jpg", "")
    return pa.StructArray.from_arrays([images, paths], fields=list(image_type()))


def with_images(rows: pa.RecordBatch, images: pa.BinaryArray, schema: pa.Schema) -> pa.RecordBatch:
    """Put the column ``image`` before upstream's columns."""
    image = image_array(images, rows.column("processid"))
    assert schema.names[0] == IMAGE_COLUMN
    return pa.record_batch([image, *rows.columns], schema=schema)
