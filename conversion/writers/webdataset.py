"""WebDataset shards: plain tar files, one image and one JSON file for each specimen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from conversion.json_rows import json_rows
from conversion.writers.base import Images, ShardWriter
from conversion.writers.parquet import ParquetWriter

_BLOCK: Final = 512
_RECORD: Final = 10_240
# Fixed, so that the same specimens give the same bytes; not 0, which tar takes for a broken clock.
_MTIME: Final = 1_704_067_200
_NAME_BYTES: Final = 100
_SIZE: Final = slice(124, 135)
_CHECKSUM: Final = slice(148, 154)
_ENDS: Final = (b".jpg", b".json")
_JOINED: Final = 300
_FILL: Final = [bytes(count) for count in range(_BLOCK)]


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

    @classmethod
    def companions(cls, shards: Mapping[str, int]) -> dict[str, bytes]:
        """``sizes.json``, from which training code learns how many samples a shard has.

        OpenCLIP and others look it up in the folder of the shards, by the name of each.
        """
        return {"sizes.json": (json.dumps(dict(shards), indent=1) + "\n").encode()}

    def _write(self, rows: pa.RecordBatch, images: Images | None) -> None:
        assert images is not None
        texts = json_rows(rows).cast(pa.binary()).to_pylist()
        names = rows.column("processid").cast(pa.binary()).to_pylist()
        members = [data for pair in zip(images, texts, strict=True) for data in pair]
        sizes = np.array([len(data) for data in members], np.int64)
        headers = _headers([name + end for name in names for end in _ENDS], sizes)
        fills = [_FILL[rest] for rest in (-sizes % _BLOCK).tolist()]
        parts = [part for member in zip(headers, members, fills, strict=True) for part in member]
        # Joined piece by piece, so that what is joined is still in the cache when it is written.
        for start in range(0, len(parts), _JOINED):
            self._file.write(b"".join(parts[start : start + _JOINED]))

    def _finish(self) -> None:
        # Two empty blocks end an archive, and tar writes whole records.
        written = self._file.tell() + 2 * _BLOCK
        self._file.write(bytes(2 * _BLOCK + -written % _RECORD))

    def _abandon(self) -> None:
        """There is nothing that has to be given back."""


def _headers(names: list[bytes], sizes: npt.NDArray[np.int64]) -> list[bytes]:
    """The header block of each member, made column by column: there are millions."""
    assert max(map(len, names)) <= _NAME_BYTES
    headers = np.tile(np.frombuffer(_TEMPLATE, np.uint8), (len(names), 1))
    headers[:, :_NAME_BYTES] = (
        np.array(names, f"S{_NAME_BYTES}").view(np.uint8).reshape(-1, _NAME_BYTES)
    )
    headers[:, _SIZE] = _octal(sizes, 11)
    headers[:, _CHECKSUM] = _octal(headers.sum(axis=1, dtype=np.int64), 6)
    headers[:, _CHECKSUM.stop] = 0
    whole: list[bytes] = headers.reshape(-1).view(f"V{_BLOCK}").tolist()
    return whole


def _octal(numbers: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.uint8]:
    shifts = np.arange(3 * (digits - 1), -1, -3)
    found: npt.NDArray[np.uint8] = (ord("0") + (numbers[:, None] >> shifts & 7)).astype(np.uint8)
    return found


def _template() -> bytes:
    """A header of ustar without name, size and checksum, which counts itself as blanks."""
    owner = b"%07o\0%07o\0%07o\0" % (0o644, 0, 0)
    size_and_time = b"%011o\0%011o\0" % (0, _MTIME)
    device = b"%07o\0%07o\0" % (0, 0)
    return b"".join(
        (
            bytes(_NAME_BYTES),
            owner,
            size_and_time,
            b" " * 8,
            b"0",
            bytes(100),
            b"ustar\x0000",
            bytes(64),
            device,
            bytes(167),
        )
    )


_TEMPLATE: Final = _template()
assert len(_TEMPLATE) == _BLOCK
