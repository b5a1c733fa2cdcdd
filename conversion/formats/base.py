"""Define the interface of a shard writer, and the properties of its format."""

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
    """The name, the number of rows and the length of a shard."""

    name: str
    rows: int
    bytes: int


class ShardWriter(Whole):
    """Writes one shard, block by block; the file appears when the ``with`` block succeeds.

    Attributes:
        form: The format, with its names.
        row_bytes: The bytes that a specimen takes in a shard in addition to its image; upstream's
            rows have some 1,000 bytes of text.
        block_rows: How many specimens a block should have at most.
        block_bytes: How many bytes of images a block should have at most.
        metadata_writer: The writer of the metadata in a folder of this format, if the format
            itself cannot hold them.
        ending: The suffix of folder and repository names, if it is not the name of the format.
        media_type: Its media type, for Croissant.
        croissant: Whether Croissant's own reader can read it.
        filters: Whether ``datasets`` accepts ``filters=`` for it.
        record_code: Python code for the columns of a row that ``datasets`` has read.
        image_column: The name of the image in such a row.
        samples: Whether it is a format of samples, whose records contain label numbers.
        note: A note about the format for the card, below its examples.
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
        """Set the additional members of a sample; call this before the first block."""
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
        """The features for the card to declare, if the files themselves do not contain them."""
        return []

    @staticmethod
    @abstractmethod
    def read_back(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Read a shard back to verify it; anything this writer would not have written is an error.

        Args:
            path: The file.
            schema: The columns to read; the batches may contain more columns.
            batch_rows: How many rows a batch has at most, unless the file itself has batches.

        Raises:
            ArrowException, KeyError, ValueError: The file is not a shard of the format.
        """

    def write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None = None) -> None:
        """Append one block of specimens: a row group, or a record batch.

        Args:
            rows: Upstream's columns, in their order.
            images: The bytes of each specimen's image, in the same order; ``None`` for a
                configuration without images.
        """
        self._write(rows, images)
        self.rows += rows.num_rows

    @abstractmethod
    def _write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None) -> None: ...

    @abstractmethod
    def _finish(self) -> None:
        """Write the trailer of the file."""

    @abstractmethod
    def _abandon(self) -> None:
        """Release the resources of the format's library after a failure."""

    def commit(self) -> Written:
        """Finish the file, give it its final name, and return its length and digest."""
        self._finish()
        return self._file.commit()

    def hand_over(self) -> Unseen:
        """Finish the file, and return an object that can sync and rename it later."""
        self._finish()
        return self._file.hand_over()

    def discard(self) -> None:
        """Remove the unfinished file."""
        try:
            self._abandon()
        finally:
            self._file.discard()

    @property
    def closed(self) -> bool:
        """Whether it was committed or discarded."""
        return self._file.closed


def image_array(images: pa.BinaryArray, processids: pa.Array) -> pa.StructArray:
    """Make the column ``image`` of a block: structs of bytes and the path ``<processid>.jpg``."""
    paths = pa.compute.binary_join_element_wise(processids, ".jpg", "")
    return pa.StructArray.from_arrays([images, paths], fields=list(image_type()))


def with_images(rows: pa.RecordBatch, images: pa.BinaryArray, schema: pa.Schema) -> pa.RecordBatch:
    """Put the column ``image`` before upstream's columns."""
    image = image_array(images, rows.column("processid"))
    assert schema.names[0] == IMAGE_COLUMN
    return pa.record_batch([image, *rows.columns], schema=schema)
