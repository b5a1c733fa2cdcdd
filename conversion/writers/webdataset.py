"""WebDataset shards: plain tar files, one image and one JSON file for each specimen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import pyarrow as pa

from conversion.json_rows import json_rows
from conversion.writers.base import Images, ShardWriter
from conversion.writers.parquet import ParquetWriter

_BLOCK: Final = 512
_RECORD: Final = 10_240
# Fixed, so that the same specimens give the same bytes; not 0, which tar takes for a broken clock.
_MTIME: Final = 1_704_067_200
_NAME_BYTES: Final = 100


class WebDatasetWriter(ShardWriter):
    """``<processid>.jpg`` and ``<processid>.json`` for each specimen, in plain USTAR.

    Headers hold integers only (POSIX.1-1988 ustar), so no member needs a PAX record, which would
    cost a kilobyte each, and a shard depends on nothing but its specimens.
    """

    suffix: ClassVar[str] = ".tar"
    row_bytes: ClassVar[int] = 3_300
    metadata_writer: ClassVar[type[ShardWriter] | None] = ParquetWriter

    def __init__(self, path: Path, *, image: bool) -> None:
        assert image, "a tar shard always has images"
        super().__init__(path, image=image)
        self._template, self._template_sum = _template()

    @classmethod
    def companions(cls, shards: Mapping[str, int]) -> dict[str, bytes]:
        """``sizes.json``, from which training code learns how many samples a shard has.

        OpenCLIP and others look it up in the folder of the shards, by the name of each.
        """
        return {"sizes.json": (json.dumps(dict(shards), indent=1) + "\n").encode()}

    def _write(self, rows: pa.RecordBatch, images: Images | None) -> None:
        assert images is not None
        parts: list[bytes | bytearray] = []
        texts = json_rows(rows).cast(pa.binary()).to_pylist()
        names = rows.column("processid").cast(pa.binary()).to_pylist()
        for name, image, text in zip(names, images, texts, strict=True):
            parts += (self._header(name + b".jpg", len(image)), image, _padding(len(image)))
            parts += (self._header(name + b".json", len(text)), text, _padding(len(text)))
        self._file.write(b"".join(parts))

    def _header(self, name: bytes, size: int) -> bytes:
        assert len(name) <= _NAME_BYTES
        digits = b"%011o" % size
        checksum = self._template_sum + sum(name) + sum(digits)
        head, middle, tail = self._template
        return b"".join(
            (name.ljust(_NAME_BYTES, b"\0"), head, digits, middle, b"%06o\0 " % checksum, tail)
        )

    def _finish(self) -> None:
        # Two empty blocks end an archive, and tar writes whole records.
        written = self._file.tell() + 2 * _BLOCK
        self._file.write(bytes(2 * _BLOCK + -written % _RECORD))

    def _abandon(self) -> None:
        """There is nothing that has to be given back."""


def _template() -> tuple[tuple[bytes, bytes, bytes], int]:
    """The parts of a header around name, size and checksum, and the sum of their bytes."""
    head = b"%07o\0%07o\0%07o\0" % (0o644, 0, 0)
    middle = b"\0%011o\0" % _MTIME
    tail = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"%07o\0%07o\0" % (0, 0) + bytes(167)
    # The checksum counts its own eight bytes as blanks.
    return (head, middle, tail), sum(head) + sum(middle) + sum(tail) + 8 * ord(" ")


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
