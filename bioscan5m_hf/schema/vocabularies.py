"""Number the distinct values of each rank, and count how often each value occurs in each split.

The values of all splits together are sorted by Unicode code points and numbered in that order, as
the package ``bioscan-dataset`` does too.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bioscan5m_hf.errors import MetadataError, UnknownName
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.value_counts import Counts, ValueCounts

VOCABULARIES_NAME: Final = "vocabularies.parquet"
"""The file of a dataset folder that holds the vocabularies: one row group for each rank."""

VOCABULARIES_BYTES: Final = 64 << 20
"""The largest size of that file in bytes; upstream's vocabularies take some megabytes."""

_PLAIN_BYTES: Final = 512 << 20
_LONGEST_VALUE: Final = 1000

MISSING: Final = -1
"""The number of a missing label in a ``ClassLabel`` column."""

_SCHEMA: Final = pa.schema(
    [
        pa.field("rank", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        *(pa.field(split.name, pa.int64(), nullable=False) for split in SPLITS),
    ]
)


@dataclass(frozen=True)
class Vocabulary:
    """The distinct values of one rank.

    Attributes:
        rank: Such as ``"species"``.
        names: The values; the index of a value is its label.
        counts: How many records of each split have each value: by upstream's name of the split,
            arrays of int64 as long as ``names``.
    """

    rank: str
    names: list[str]
    counts: Mapping[str, Counts]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, value: str | None) -> int | None:
        """The label of a value; ``None`` for ``None``.

        Raises:
            UnknownName: No record has this value; the message suggests similar values.
        """
        if value is None:
            return None
        try:
            return self._labels[value]
        except KeyError:
            near = [name for name in self.names if name[:1] == value[:1]][:20]
            raise UnknownName.of(self.rank, value, near or self.names[:20]) from None

    def encode(self, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Replace values by their labels.

        Args:
            values: Text; a null becomes -1.

        Returns:
            Labels as int64, none of them null.

        Raises:
            MetadataError: A value is not in the vocabulary.
        """
        labels = pc.index_in(values, value_set=self._array)
        unknown = pc.and_(labels.is_null(), values.is_valid())
        if pc.any(unknown).as_py():
            raise MetadataError(
                f"the {self.rank} {values.filter(unknown)[0].as_py()!r} is not in the vocabulary",
                fix=f"make {VOCABULARIES_NAME} again from the same metadata",
            )
        encoded = pc.fill_null(labels.cast(pa.int64()), MISSING)
        return encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded

    @functools.cached_property
    def _labels(self) -> dict[str, int]:
        return {name: label for label, name in enumerate(self.names)}

    @functools.cached_property
    def _array(self) -> pa.Array:
        return pa.array(self.names, pa.string())


class VocabularyCounter:
    """Counts the values of every rank, batch by batch."""

    def __init__(self) -> None:
        self._tallies: defaultdict[tuple[str, str], ValueCounts] = defaultdict(ValueCounts)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some records.

        Args:
            batch: Records with upstream's columns.
        """
        ranks = batch.select(list(RANKS))
        splits = pc.unique(batch["split"]).to_pylist()
        for split in splits:
            chosen = ranks
            if len(splits) > 1:
                chosen = ranks.filter(pc.equal(batch["split"], split))
            for rank in RANKS:
                self._tallies[rank, split].add(chosen[rank])

    def vocabularies(self) -> list[Vocabulary]:
        """The vocabularies of all ranks, in upstream's order."""
        return [self._vocabulary(rank) for rank in RANKS]

    def _vocabulary(self, rank: str) -> Vocabulary:
        found = {split.name: self._tallies[rank, split.name].counts() for split in SPLITS}
        names = pc.unique(pa.chunked_array([values for values, _ in found.values()], pa.string()))
        # Arrow sorts by bytes; for UTF-8 that is the order of the code points.
        names = names.sort()
        counts: dict[str, Counts] = {}
        for split, (values, numbers) in found.items():
            counts[split] = np.zeros(len(names), np.int64)
            counts[split][pc.index_in(values, value_set=names).to_numpy()] = numbers
        return Vocabulary(rank, names.to_pylist(), counts)


def to_parquet(vocabularies: Iterable[Vocabulary]) -> bytes:
    """Write vocabularies as a Parquet file; equal vocabularies give equal bytes.

    Args:
        vocabularies: One for each rank.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, _SCHEMA, compression="zstd") as writer:
        for vocabulary in vocabularies:
            size = len(vocabulary)
            table = pa.table(
                [
                    pa.array([vocabulary.rank] * size, pa.string()),
                    pa.array(np.arange(size, dtype=np.int64)),
                    pa.array(vocabulary.names, pa.string()),
                    *(pa.array(vocabulary.counts[split.name]) for split in SPLITS),
                ],
                schema=_SCHEMA,
            )
            writer.write_table(table, row_group_size=max(1, size))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_parquet(data: bytes, rank: str, where: str) -> Vocabulary:
    """Read the vocabulary of one rank.

    Args:
        data: The bytes of the file.
        rank: The rank.
        where: The name of the file in error messages.

    Raises:
        UnknownName: There is no such rank.
        MetadataError: The file is damaged.
    """
    check_rank(rank)
    try:
        table = _read(data, rank)
        counts = {split.name: table[split.name].to_numpy() for split in SPLITS}
        return Vocabulary(rank, table["value"].to_pylist(), counts)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise MetadataError(
            f"cannot be read as vocabularies ({error})", where=where, fix="make the folder again"
        ) from error


def _read(data: bytes, rank: str) -> pa.Table:
    """The rows of one rank; a file that would take too much memory is refused before it is read."""
    names = pq.read_schema(pa.BufferReader(data)).names
    if missing := sorted(set(_SCHEMA.names).difference(names)):
        raise ValueError(f"it has no column {missing[0]}")
    # Dictionary-encoded, so that a long value that is repeated takes memory only once.
    with pq.ParquetFile(pa.BufferReader(data), read_dictionary=["rank", "value"]) as file:
        groups = range(file.num_row_groups)
        plain = sum(file.metadata.row_group(number).total_byte_size for number in groups)
        if plain > _PLAIN_BYTES:
            raise ValueError(f"it has {plain:,} bytes when decompressed")
        # With threads, a thread of Arrow may release the last reference to `data` while the
        # interpreter shuts down, which aborts the process.
        table = file.read(_SCHEMA.names, use_threads=False)
    table = table.filter(pc.equal(table["rank"], rank)).combine_chunks()
    values = pc.unique(table["value"]).dictionary_decode()
    if len(values) < len(table):
        raise ValueError("a value occurs twice")
    if table.num_rows and pc.max(pc.binary_length(values)).as_py() > _LONGEST_VALUE:
        raise ValueError(f"a value has more than {_LONGEST_VALUE:,} bytes")
    if any(column.null_count for column in table.columns):
        raise ValueError("a value is missing")
    return table.cast(_SCHEMA)


def check_rank(rank: str) -> None:
    """Check that a rank exists.

    Raises:
        UnknownName: There is no such rank; the message lists them.
    """
    if rank not in RANKS:
        raise UnknownName.of("rank", rank, RANKS)
