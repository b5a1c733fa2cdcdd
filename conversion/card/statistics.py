"""Count taxa, barcodes, sizes and places in the metadata configuration of a dataset folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.schema.columns import RANKS
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.schema.value_counts import ValueCounts
from bioscan5m_hf.schema.vocabularies import Vocabulary, VocabularyCounter
from conversion.folder.manifest import Manifest
from conversion.shards.read import read_shard

COUNTED: Final = (
    *RANKS,
    "dna_barcode",
    "country",
    "coord-lat",
    "coord-lon",
    "image_measurement_value",
    "split",
)
"""The columns that are read."""

_BATCH_ROWS: Final = 8_000
_SOUTH, _WEST = -90, -180
_LATITUDES, _LONGITUDES = 180, 360
_ORDERS: Final = 12
_COUNTRIES: Final = 10
BARCODE_STEP: Final = 20
BARCODE_TOP: Final = 1_600
SIZE_STEPS: Final = 8  # per power of ten


@dataclass(frozen=True, slots=True)
class RankCount:
    """How many taxa a rank has, and how many specimens have a label of this rank."""

    rank: str
    taxa: int
    labelled: int


@dataclass(frozen=True, slots=True)
class Profile:
    """A summary of the specimens of a dataset folder.

    Attributes:
        specimens: How many there are.
        ranks: The counts of each rank.
        orders: The most frequent orders and their specimens, the largest first.
        other_orders: How many further orders there are, and their specimens.
        barcodes: How many different barcodes there are, and how many specimens have one.
        barcode_lengths: Specimens by the length of their barcode in bases, in steps of
            ``BARCODE_STEP``; the last step holds all from ``BARCODE_TOP`` on.
        sizes: Specimens by the pixels of the organism, in ``SIZE_STEPS`` steps per power of ten.
        countries: The most frequent countries and their specimens.
        other_countries: How many further countries there are, and their specimens.
        sites: Specimens by degree of latitude and longitude (the southern and western edge).
    """

    specimens: int
    ranks: tuple[RankCount, ...]
    orders: tuple[tuple[str, int], ...]
    other_orders: tuple[int, int]
    barcodes: tuple[int, int]
    barcode_lengths: dict[int, int]
    sizes: dict[int, int]
    countries: tuple[tuple[str, int], ...]
    other_countries: tuple[int, int]
    sites: dict[tuple[int, int], int]

    @property
    def located(self) -> int:
        """How many specimens have coordinates on the globe."""
        return sum(self.sites.values())


def stored_metadata(folder: Path, manifest: Manifest) -> list[Path]:
    """The files of the metadata configuration of a folder."""
    splits = manifest.splits.get(METADATA, {}).values()
    return [folder / shard.path for files in splits for shard in files.shards]


class ProfileCounter:
    """Counts specimens while their rows are read, in bounded memory."""

    def __init__(self) -> None:
        self._vocabularies = VocabularyCounter()
        self._countries = ValueCounts()
        self._specimens = 0
        self._barcodes: list[npt.NDArray[np.int64]] = []
        self._lengths: Counter[int] = Counter()
        self._sizes: Counter[int] = Counter()
        self._sites = np.zeros(_LATITUDES * _LONGITUDES, np.int64)

    def add(self, rows: pa.RecordBatch) -> None:
        """Count some specimens."""
        self._specimens += rows.num_rows
        self._vocabularies.add(rows)
        self._countries.add(rows["country"])
        self._add_barcodes(rows["dna_barcode"])
        self._add_sizes(rows["image_measurement_value"].drop_null().to_numpy())
        self._add_sites(_numbers(rows["coord-lat"]), _numbers(rows["coord-lon"]))

    def vocabularies(self) -> list[Vocabulary]:
        """The distinct values of each rank, as counted so far."""
        return self._vocabularies.vocabularies()

    def profile(self, vocabularies: Sequence[Vocabulary]) -> Profile:
        """Summarise the counts."""
        totals = {found.rank: np.sum(list(found.counts.values()), axis=0) for found in vocabularies}
        names = {found.rank: found.names for found in vocabularies}
        orders, other_orders = _most_frequent(names["order"], totals["order"], _ORDERS)
        texts, counts = self._countries.counts()
        countries, other_countries = _most_frequent(texts.to_pylist(), counts, _COUNTRIES)
        cells = np.flatnonzero(self._sites).tolist()
        return Profile(
            specimens=self._specimens,
            ranks=tuple(
                RankCount(rank, len(names[rank]), int(np.sum(totals[rank]))) for rank in RANKS
            ),
            orders=orders,
            other_orders=other_orders,
            barcodes=self._count_barcodes(),
            barcode_lengths=dict(sorted(self._lengths.items())),
            sizes=dict(sorted(self._sizes.items())),
            countries=countries,
            other_countries=other_countries,
            sites={
                (cell // _LONGITUDES + _SOUTH, cell % _LONGITUDES + _WEST): int(self._sites[cell])
                for cell in cells
            },
        )

    def _add_barcodes(self, barcodes: pa.Array) -> None:
        texts = list(filter(None, barcodes.to_numpy(zero_copy_only=False)))
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        _count(self._lengths, np.minimum(lengths // BARCODE_STEP * BARCODE_STEP, BARCODE_TOP))
        # A barcode is counted by its hash. The chance that any two of five million share a hash is
        # less than one in a million.
        self._barcodes.append(np.fromiter(map(hash, texts), np.int64, len(texts)))

    def _count_barcodes(self) -> tuple[int, int]:
        """The number of distinct barcodes, and of all barcodes."""
        hashes = np.concatenate([np.empty(0, np.int64), *self._barcodes])
        hashes.sort()
        return int(np.count_nonzero(hashes[1:] != hashes[:-1])) + bool(len(hashes)), len(hashes)

    def _add_sizes(self, pixels: npt.NDArray[np.int64]) -> None:
        steps = np.floor(np.log10(pixels[pixels > 0]) * SIZE_STEPS).astype(np.int64)
        _count(self._sizes, steps)

    def _add_sites(
        self, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> None:
        # Comparisons with NaN are false, so specimens without coordinates are left out.
        located = (np.abs(latitude) <= -_SOUTH) & (np.abs(longitude) <= -_WEST)
        # The North Pole and the date line belong to the last cells.
        row = np.minimum(np.floor(latitude[located]).astype(np.int64) - _SOUTH, _LATITUDES - 1)
        column = np.minimum(np.floor(longitude[located]).astype(np.int64) - _WEST, _LONGITUDES - 1)
        self._sites += np.bincount(row * _LONGITUDES + column, minlength=len(self._sites))


def profile(shards: Sequence[Path]) -> Profile:
    """Summarise the metadata configuration of a folder, in bounded memory.

    Raises:
        BrokenShard: One of them is not a shard of its format.
        OSError: One of them cannot be read.
    """
    counter = ProfileCounter()
    for shard in shards:
        for rows in read_shard(shard, COUNTED, _BATCH_ROWS):
            counter.add(rows)
    return counter.profile(counter.vocabularies())


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return found


def _count(counts: Counter[int], steps: npt.NDArray[np.int64]) -> None:
    found, times = np.unique(steps, return_counts=True)
    counts.update(dict(zip(found.tolist(), times.tolist(), strict=True)))


def _most_frequent(
    names: Sequence[str], counts: npt.NDArray[np.int64], wanted: int
) -> tuple[tuple[tuple[str, int], ...], tuple[int, int]]:
    """The most frequent names with their counts; the number and total count of the rest."""
    rows = sorted(zip(names, counts.tolist(), strict=True), key=lambda row: (-row[1], row[0]))
    rest = rows[wanted:]
    return tuple(rows[:wanted]), (len(rest), sum(count for _, count in rest))
