"""What the specimens are like, counted over the metadata configuration of a dataset folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from bioscan5m_hf.schema import RANKS
from bioscan5m_hf.variants import METADATA
from conversion.manifest import Manifest

# Five million specimens in 74,000 cells of a degree and 330,000 BINs take far less.
_MEMORY: Final = "1GB"
_ORDERS: Final = 12
_COUNTRIES: Final = 10
BARCODE_STEP: Final = 20
BARCODE_TOP: Final = 1_600
SIZE_STEPS: Final = 8  # to a power of ten


@dataclass(frozen=True, slots=True)
class RankCount:
    """How far the labels reach at one rank.

    Attributes:
        rank: The rank.
        taxa: How many different labels there are.
        labelled: How many specimens have one.
    """

    rank: str
    taxa: int
    labelled: int


@dataclass(frozen=True, slots=True)
class Profile:
    """What the specimens of a dataset folder are like.

    Attributes:
        specimens: How many there are.
        ranks: For each rank, its labels.
        orders: The most frequent orders and their specimens, the largest first.
        other_orders: How many further orders there are, and their specimens.
        barcodes: How many different barcodes there are, and how many specimens have one.
        barcode_lengths: Specimens by the length of their barcode in bases, in steps of
            ``BARCODE_STEP``; from ``BARCODE_TOP`` on in one.
        sizes: Specimens by the pixels of the organism, in ``SIZE_STEPS`` steps to a power of ten.
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
    """The files of the metadata configuration of a folder.

    Args:
        folder: The dataset folder.
        manifest: What it holds.
    """
    splits = manifest.splits.get(METADATA, {}).values()
    return [folder / shard.path for files in splits for shard in files.shards]


def profile(shards: Sequence[Path], connection: duckdb.DuckDBPyConnection | None = None) -> Profile:
    """Count what the metadata configuration of a folder holds, in bounded memory.

    Args:
        shards: Its files.
        connection: A database to ask, for whoever wants to interrupt it; by default one is made.
    """
    if connection is None:
        with duckdb.connect() as own:
            return profile(shards, own)
    connection.execute(f"SET memory_limit='{_MEMORY}'")
    # Nothing is spilled: every question is answered in one pass over the columns it names.
    connection.execute("SET temp_directory=''")
    _open(connection, shards)
    return _count(connection)


def _open(connection: duckdb.DuckDBPyConnection, shards: Sequence[Path]) -> None:
    names = [str(path) for path in shards]
    if all(path.suffix == ".parquet" for path in shards):
        connection.read_parquet(names).create_view("stored")
    else:
        # Mapped, not read: its pages are the system's to keep or to drop.
        tables = [pa.ipc.open_stream(pa.memory_map(name)).read_all() for name in names]
        connection.register("stored", pa.concat_tables(tables))
    # A long text is counted by its hash: among five million, two share one with a chance of less
    # than one in a million.
    connection.execute(
        """CREATE TEMP VIEW specimens AS SELECT * REPLACE (
            CASE WHEN dna_bin IS NOT NULL THEN hash(dna_bin) END AS dna_bin,
            CASE WHEN dna_barcode <> '' THEN hash(dna_barcode) END AS dna_barcode),
            length(dna_barcode) AS barcode_length FROM stored"""
    )


def _count(connection: duckdb.DuckDBPyConnection) -> Profile:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(query).fetchall()

    counts = ", ".join(f'count(DISTINCT "{rank}"), count("{rank}")' for rank in RANKS)
    (ranks,) = ask(f"SELECT {counts} FROM specimens")
    (totals,) = ask(
        "SELECT count(*), count(DISTINCT dna_barcode), count(dna_barcode) FROM specimens"
    )
    orders, other_orders = _most_frequent(ask(_frequencies("order")), _ORDERS)
    countries, other_countries = _most_frequent(ask(_frequencies("country")), _COUNTRIES)
    return Profile(
        specimens=totals[0],
        ranks=tuple(
            RankCount(rank, ranks[2 * number], ranks[2 * number + 1])
            for number, rank in enumerate(RANKS)
        ),
        orders=orders,
        other_orders=other_orders,
        barcodes=(totals[1], totals[2]),
        barcode_lengths=dict(
            ask(
                f"""SELECT least(barcode_length // {BARCODE_STEP} * {BARCODE_STEP}, {BARCODE_TOP}),
                    count(*) FROM specimens WHERE barcode_length > 0 GROUP BY 1 ORDER BY 1"""
            )
        ),
        sizes=dict(
            ask(
                f"""SELECT floor(log10(image_measurement_value) * {SIZE_STEPS})::INTEGER, count(*)
                    FROM specimens WHERE image_measurement_value > 0 GROUP BY 1 ORDER BY 1"""
            )
        ),
        countries=countries,
        other_countries=other_countries,
        sites={
            (latitude, longitude): count
            for latitude, longitude, count in ask(
                """SELECT least(floor("coord-lat")::INTEGER, 89),
                   least(floor("coord-lon")::INTEGER, 179), count(*) FROM specimens
                   WHERE "coord-lat" BETWEEN -90 AND 90 AND "coord-lon" BETWEEN -180 AND 180
                   GROUP BY 1, 2 ORDER BY 1, 2"""
            )
        },
    )


def _frequencies(column: str) -> str:
    return (
        f'SELECT "{column}", count(*) FROM specimens WHERE "{column}" IS NOT NULL '
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    )


def _most_frequent(
    rows: Sequence[tuple[str, int]], count: int
) -> tuple[tuple[tuple[str, int], ...], tuple[int, int]]:
    rest = rows[count:]
    return tuple(rows[:count]), (len(rest), sum(number for _, number in rest))
