"""Write WebDataset shards: plain tars with one image and one JSON file for each specimen."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.readers.formats import FORMATS, Format
from bioscan5m_hf.schema.columns import COLUMNS, IMAGE_COLUMN
from bioscan5m_hf.schema.configurations import METADATA
from conversion.formats.base import Shape, ShardWriter
from conversion.formats.json_rows import json_rows
from conversion.formats.parquet import ParquetWriter
from conversion.formats.samples import LABEL, PLAIN, SampleExtras, captions, with_labels

_BLOCK: Final = 512
_RECORD: Final = 10_240
# Fixed, so that the same specimens give the same bytes; not 0, because tar would warn about it.
_MTIME: Final = 1_704_067_200
_NAME_BYTES: Final = 100
_SIZE: Final = slice(124, 135)
_CHECKSUM: Final = slice(148, 154)
_IMAGE: Final = ".jpg"
_WHOLE: Final = np.dtype((np.void, _BLOCK))
_PIECE_BLOCKS: Final = (1 << 20) // _BLOCK


class WebDatasetWriter(ShardWriter):
    """Writes ``<processid>.jpg`` and ``<processid>.json`` for each specimen, in plain USTAR.

    With the options for it, ``<processid>.txt`` is a caption and ``<processid>.cls`` a label
    number. The record has upstream's columns, and then the number of each label.

    Times in headers are integers (POSIX.1-1988 ustar), so no member needs a PAX record, which would
    take a kilobyte each. A shard depends only on its specimens.
    """

    form: ClassVar[Format] = FORMATS["webdataset"]
    row_bytes: ClassVar[int] = 3_300
    # Blocks are not visible in the file, and JSON is written faster for many rows at once.
    block_rows: ClassVar[int] = 4000
    block_bytes: ClassVar[int] = 16 << 20
    metadata_writer: ClassVar[type[ShardWriter] | None] = ParquetWriter
    ending: ClassVar[str | None] = "wds"
    media_type: ClassVar[str] = "application/x-tar"
    record_code: ClassVar[str] = 'row["json"]'
    image_column: ClassVar[str] = "jpg"
    samples: ClassVar[bool] = True
    note: ClassVar[str] = (
        f"{ShardWriter.note}\n"
        "A sample is the image `jpg` and the record `json`, which has the columns below, and the\n"
        "number of each label, such as `species_label`, which is -1 where it is not known.\n"
        "The metadata of all specimens, without images, lie beside the shards as Parquet:\n"
        f"`{METADATA}/*.parquet`, for pandas, DuckDB or Polars. How many samples a shard has\n"
        "stands in `sizes.json` in the folder of each configuration.\n"
    )

    def __init__(self, path: Path, *, image: bool) -> None:
        assert image, "a tar shard always has images"
        super().__init__(path, image=image)
        self._extras = PLAIN
        self._vocabularies: Path | None = None
        self._memory = np.empty((0, _BLOCK), np.uint8)

    def add_to_samples(self, extras: SampleExtras, vocabularies: Path) -> None:
        """Set the additional members of a sample; call this before the first block."""
        self._extras, self._vocabularies = extras, vocabularies

    @classmethod
    def companions(cls, shards: Mapping[str, Sequence[Shape]]) -> dict[str, bytes]:
        """The index files that training code looks for, so that it need not count samples.

        ``sizes.json`` (OpenCLIP): the number of samples of each shard. ``_info.json`` (timm): the
        shards of each split. ``wids-<split>.json`` (webdataset's random access): the shards of a
        split and their lengths, with URLs relative to this file.
        """
        every = [shape for found in shards.values() for shape in found]
        indexes = {
            "sizes.json": {shape.name: shape.rows for shape in every},
            "_info.json": {"splits": {name: _info(name, found) for name, found in shards.items()}},
            **{f"wids-{name}.json": _index(found) for name, found in shards.items()},
        }
        return {
            name: (json.dumps(each, indent=1) + "\n").encode() for name, each in indexes.items()
        }

    @classmethod
    def declared_features(cls) -> list[dict[str, Any]]:
        """The features of a sample.

        Otherwise ``datasets`` guesses the types of JSON from the first five samples, and a column
        that is null in all of them cannot hold text later (huggingface/datasets#7549).
        """
        columns = [{"name": column.name, "dtype": column.kind.value} for column in COLUMNS]
        return [
            {"name": "jpg", "dtype": "image"},
            {"name": "json", "struct": columns},
            {"name": "__key__", "dtype": "string"},
            {"name": "__url__", "dtype": "string"},
        ]

    @staticmethod
    def read_back(path: Path, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
        """Read a shard, whose members must be exactly those that this class writes, in order."""
        rows: list[dict[str, Any]] = []
        for stem, members in itertools.groupby(_members(path), lambda m: m[0].partition(".")[0]):
            names, contents = zip(*members, strict=True)
            row = json.loads(contents[1])
            known = (f"{stem}.txt", f"{stem}.cls")
            there = tuple(name for name in known if name in names)
            if names != (f"{stem}.jpg", f"{stem}.json", *there) or row["processid"] != stem:
                raise ValueError(f"the members {', '.join(names)} do not belong together")
            row[IMAGE_COLUMN] = {"bytes": contents[0], "path": names[0]}
            rows.append({column: row[column] for column in schema.names})
            if len(rows) == batch_rows:
                yield pa.RecordBatch.from_pylist(rows, schema)
                rows = []
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)

    def _write(self, rows: pa.RecordBatch, images: pa.BinaryArray | None) -> None:
        assert images is not None
        members = {_IMAGE: images, **self._texts(rows)}
        bounds = np.stack([_bounds(each) for each in members.values()])
        sizes = np.diff(bounds).T.reshape(-1)
        headers = _headers(rows.column("processid"), tuple(members), sizes)
        contents = [memoryview(each.buffers()[2] or b"").cast("B") for each in members.values()]
        for samples in _pieces(sizes, len(members)):
            here = slice(samples.start * len(members), samples.stop * len(members))
            plan = _plan(sizes[here])
            blocks = self._room(plan.blocks)
            # Clear the last block of each member first, so that the bytes after its data are zero.
            blocks[plan.last] = 0
            # Copy each header as one value; otherwise NumPy would copy byte by byte.
            blocks.view(_WHOLE)[plan.headers] = headers[here].view(_WHOLE)
            view = blocks.reshape(-1).data
            places = ((plan.headers + 1) * _BLOCK).reshape(-1, len(members)).T
            for starts, ends, data in zip(places, bounds, contents, strict=True):
                found = ends[samples.start : samples.stop + 1].tolist()
                for start, (first, end) in zip(
                    starts.tolist(), itertools.pairwise(found), strict=True
                ):
                    view[start : start + end - first] = data[first:end]
            self._file.write(view)

    def _texts(self, rows: pa.RecordBatch) -> dict[str, pa.StringArray]:
        """The text members of each sample, by their endings."""
        labelled = with_labels(rows, self._vocabularies) if self._vocabularies else rows
        texts = {".json": json_rows(labelled)}
        if self._extras.captions:
            texts[".txt"] = captions(rows)
        if rank := self._extras.labels:
            texts[".cls"] = labelled[rank + LABEL].cast(pa.string())
        return texts

    def _room(self, blocks: int) -> npt.NDArray[np.uint8]:
        """Return a buffer of this many blocks; each call returns the same memory."""
        if len(self._memory) < blocks:
            # A little more, because the next piece may be a little longer.
            self._memory = np.empty((blocks + blocks // 8, _BLOCK), np.uint8)
        return self._memory[:blocks]

    def _finish(self) -> None:
        # An archive ends with two empty blocks, and is padded to a whole record.
        written = self._file.tell() + 2 * _BLOCK
        self._file.write(bytes(2 * _BLOCK + -written % _RECORD))

    def _abandon(self) -> None:
        """Do nothing, because there are no resources to release."""


def _info(split: str, shards: Sequence[Shape]) -> dict[str, Any]:
    return {
        "name": split,
        "num_samples": sum(shape.rows for shape in shards),
        "filenames": [shape.name for shape in shards],
        "shard_lengths": [shape.rows for shape in shards],
    }


def _index(shards: Sequence[Shape]) -> dict[str, Any]:
    listed = [
        {"url": shape.name, "nsamples": shape.rows, "filesize": shape.bytes} for shape in shards
    ]
    return {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": listed}


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and data of each member of a plain USTAR archive of regular files."""
    with path.open("rb") as file:
        while (header := file.read(_BLOCK)) != bytes(_BLOCK):
            if len(header) < _BLOCK or header[257:263] != b"ustar\0":
                raise ValueError(f"no tar header at byte {file.tell() - len(header):,}")
            size = int(header[124:135], 8)
            data = file.read(size)
            file.seek(-size % _BLOCK, 1)
            if len(data) < size:
                raise ValueError("it ends within a member")
            yield header[:100].rstrip(b"\0").decode(), data


@dataclass(frozen=True, slots=True)
class _Plan:
    """The layout of the members of some specimens, in blocks of 512 bytes.

    Attributes:
        headers: The number of the block with each member's header.
        last: The number of each member's last block.
        blocks: How many blocks there are.
    """

    headers: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    blocks: int


def _blocks(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many blocks each member takes, including its header."""
    return 1 + -(-sizes // _BLOCK)


def _plan(sizes: npt.NDArray[np.int64]) -> _Plan:
    after = np.cumsum(_blocks(sizes))
    headers = np.concatenate([[0], after[:-1]])
    return _Plan(headers, after - 1, int(after[-1]))


def _pieces(sizes: npt.NDArray[np.int64], members: int) -> Iterator[slice]:
    """Divide samples into pieces of about a megabyte, which fit into the processor's cache.

    Args:
        sizes: How many bytes each member has.
        members: How many members a sample has.
    """
    ends = np.cumsum(_blocks(sizes).reshape(-1, members).sum(axis=1))
    cuts = np.flatnonzero(np.diff(ends // _PIECE_BLOCKS)) + 1
    for start, stop in itertools.pairwise([0, *cuts.tolist(), len(ends)]):
        yield slice(start, stop)


def _bounds(values: pa.StringArray | pa.BinaryArray) -> npt.NDArray[np.int64]:
    """The offset of each value in its buffer, and the end of the last one."""
    bounds = np.frombuffer(values.buffers()[1], np.int32).astype(np.int64)
    return bounds[values.offset : values.offset + len(values) + 1]


def _headers(
    processids: pa.StringArray, endings: Sequence[str], sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Make the header block of each member, column by column, because there are millions."""
    longest = pc.max(pc.binary_length(processids)).as_py() + max(map(len, endings))
    assert longest <= _NAME_BYTES
    names = [
        np.array(
            pc.binary_join_element_wise(processids, end, "").cast(pa.binary()).to_pylist(),
            f"S{longest}",
        )
        for end in endings
    ]
    headers = np.tile(np.frombuffer(_TEMPLATE, np.uint8), (len(sizes), 1))
    for which, found in enumerate(names):
        headers[which :: len(endings), :longest] = found.view(np.uint8).reshape(-1, longest)
    headers[:, _SIZE] = _octal(sizes, 11)
    # Headers differ only in name and size; the sum of the other bytes is the template's.
    varying = np.concatenate([headers[:, :longest], headers[:, _SIZE]], axis=1)
    sums = _TEMPLATE_SUM + varying.sum(axis=1, dtype=np.int64)
    headers[:, _CHECKSUM] = _octal(sums, 6)
    headers[:, _CHECKSUM.stop] = 0
    return headers


def _octal(numbers: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.uint8]:
    found = np.empty((len(numbers), digits), np.uint8)
    for place in range(digits):
        found[:, -1 - place] = ord("0") + (numbers >> 3 * place & 7)
    return found


def _template() -> bytes:
    """Return a ustar header without name, size and checksum; the checksum field is spaces."""
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
_TEMPLATE_SUM: Final = sum(_TEMPLATE[_NAME_BYTES : _SIZE.start] + _TEMPLATE[_SIZE.stop :])
assert len(_TEMPLATE) == _BLOCK
