"""Read upstream's bounding boxes, and put each beside the place of its original."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from bioscan5m_hf.errors import MetadataError, MismatchError
from conversion.database import memory
from conversion.derive.recipe import Recipe

BBOX_COLUMNS: Final = (
    "processid",
    "width_original",
    "height_original",
    "x0",
    "y0",
    "x1",
    "y1",
    "scale_factor",
    "area_fraction",
)
COORDINATES: Final = BBOX_COLUMNS[1:7]
# How many different boxes the file has for a specimen; null where it has none.
VARIANTS: Final = "boxes"
PLANNED: Final = "planned"
_ROW_GROUP: Final = 8192
_SHOWN: Final = 5
# DuckDB would round 3.7 to 4, and a box must not be guessed.
_WHOLE: Final = r"-?[0-9]{1,7}(\.0+)?"


def prepare_members(
    path: Path, recipe: Recipe, bbox: Path | None, *, threads: int, record: bool
) -> None:
    """Add to the list of originals what making another package from them needs.

    Args:
        path: The Parquet file with a row for each image; it is written anew, with the length
            that each image is expected to have, and with its bounding box if the recipe crops.
        recipe: The recipe.
        bbox: Upstream's file of bounding boxes.
        threads: How many processors may be used.
        record: Whether images without a box are recorded later, instead of being an error now.

    Raises:
        MetadataError: The file of bounding boxes cannot be read, or has other columns.
        MismatchError: Images have no box, and that is not recorded.
    """
    import duckdb

    prepared = path.with_stem(f"{path.stem}-prepared")
    with duckdb.connect(config={"memory_limit": memory(threads), "threads": threads}) as database:
        database.execute("SET temp_directory=?", [str(path.with_suffix(".spill"))])
        database.execute("SET preserve_insertion_order=false")
        query = f"SELECT *, {recipe.planned_bytes} AS {PLANNED} FROM read_parquet(?)"
        parameters = [str(path)]
        if recipe.crop:
            assert bbox is not None
            _check_header(bbox)
            numbers = ", ".join(
                f"CASE WHEN regexp_full_match({name}, '{_WHOLE}') "
                f"THEN CAST({name} AS DOUBLE)::INTEGER END AS {name}"
                for name in COORDINATES
            )
            anyone = ", ".join(f"any_value({name}) AS {name}" for name in COORDINATES)
            columns = ", ".join(f"'{name}': 'VARCHAR'" for name in BBOX_COLUMNS)
            query = f"""
                WITH texts AS (
                    SELECT trim(processid) AS processid, {numbers} FROM read_csv(
                        ?, delim='\t', header=true, quote='', escape='', columns={{{columns}}})
                ), found AS (
                    SELECT processid, {anyone}, count(DISTINCT ({", ".join(COORDINATES)}))
                        AS {VARIANTS}
                    FROM texts GROUP BY processid
                )
                SELECT members.*, found.* EXCLUDE processid,
                    coalesce({recipe.planned_bytes}, 600) AS {PLANNED}
                FROM read_parquet(?) AS members LEFT JOIN found USING (processid)
            """
            parameters = [str(bbox), str(path)]
        target = str(prepared).replace("'", "''")
        try:
            database.execute(
                f"COPY ({query} ORDER BY position) TO '{target}'"
                f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})",
                parameters,
            )
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            raise MetadataError(
                f"cannot be read ({str(error).partition(chr(10))[0]})",
                where=str(bbox),
                fix="download it again",
            ) from error
    prepared.replace(path)
    if recipe.crop and not record:
        _require_boxes(path, str(bbox))


def _check_header(bbox: Path) -> None:
    try:
        with bbox.open(encoding="utf-8-sig") as file:
            header = file.readline(10_000).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError) as error:
        raise MetadataError(
            f"cannot be read ({error})", where=str(bbox), fix="download it again"
        ) from error
    if tuple(header) != BBOX_COLUMNS:
        raise MetadataError(
            f"its columns are {', '.join(header)[:200]}",
            where=str(bbox),
            fix=f"expected, separated by tabs: {', '.join(BBOX_COLUMNS)}",
        )


def _require_boxes(path: Path, bbox: str) -> None:
    table = pq.read_table(path, columns=["processid", VARIANTS])
    lacking = table.filter(table[VARIANTS].is_null())
    if lacking.num_rows:
        names = lacking["processid"].slice(0, _SHOWN).to_pylist()
        more = ", …" if lacking.num_rows > _SHOWN else ""
        raise MismatchError(
            f"{lacking.num_rows:,} specimens have no bounding box ({', '.join(names)}{more})",
            where=bbox,
            fix="use the file that belongs to the release, or leave them out with "
            "--on-error record",
        )
