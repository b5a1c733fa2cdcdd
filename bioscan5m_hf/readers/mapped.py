"""Memory-map Arrow shards as a map-style dataset, without copying them into a cache."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
from datasets.table import ConcatenationTable, InMemoryTable, MemoryMappedTable

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.query.choice import Choice, Numbers
from bioscan5m_hf.readers.base import require_columns
from bioscan5m_hf.schema.vocabularies import Vocabulary
from bioscan5m_hf.storage.disk import writing_to_cache
from bioscan5m_hf.storage.inside import require_regular


def _mapped(path: Path) -> MemoryMappedTable:
    try:
        return MemoryMappedTable.from_file(str(require_regular(path)))
    except (pa.ArrowException, OSError) as error:
        raise ArchiveError(
            f"cannot be mapped ({error})", where=str(path), fix="get it again"
        ) from error


def link_all(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Link to each file from a folder of a cache, so that nothing is written beside the files.

    Raises:
        OutputError: The cache cannot be written to.
    """
    made: list[Path] = []
    with writing_to_cache(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            link = folder / path.name
            if not link.is_symlink() or link.readlink() != path:
                new = folder / f".{path.name}.{secrets.token_hex(8)}"
                new.symlink_to(path)
                new.replace(link)
            made.append(link)
    return made


def map_shards(
    paths: Sequence[Path],
    choice: Choice,
    info: datasets.DatasetInfo,
    vocabularies: Mapping[str, Vocabulary],
    fingerprint: str,
) -> datasets.Dataset:
    """Open Arrow shards as one dataset.

    Args:
        paths: The shards of a split, in order.
        choice: The requested rows and columns. Images are not read.
        info: Information with the features of the dataset, including labels.
        vocabularies: The vocabulary of each rank whose values are replaced by labels.
        fingerprint: The fingerprint by which ``datasets`` caches results for this dataset.

    Raises:
        ArchiveError: A shard cannot be mapped.
    """
    shards = []
    for path in paths:
        shard = _mapped(path)
        require_columns(shard.column_names, (*choice.deciding, *choice.columns), path)
        shards.append(shard)
    if not shards:
        empty = InMemoryTable(pa.schema(info.features.arrow_schema).empty_table())
        return datasets.Dataset(empty, info=info, fingerprint=fingerprint)
    rows = _rows(shards, choice) if choice.deciding else None
    tables = []
    for shard in shards:
        kept = shard.select([name for name in choice.columns if name not in vocabularies])
        encoded = {
            name: vocabulary.encode(shard.table[name]) for name, vocabulary in vocabularies.items()
        }
        if encoded:
            beside = InMemoryTable.from_pydict(encoded)
            kept = (
                ConcatenationTable.from_tables([kept, beside], axis=1)
                if len(kept.column_names)
                else beside
            )
        tables.append(kept.select(list(choice.columns)))
    whole = ConcatenationTable.from_tables(tables) if len(tables) > 1 else tables[0]
    # The features in the files are for all columns, and have no labels.
    whole = whole.replace_schema_metadata(info.features.arrow_schema.metadata)
    made = datasets.Dataset(whole, info=info, fingerprint=fingerprint)
    return made if rows is None else made.select(rows)


def _rows(shards: Sequence[MemoryMappedTable], choice: Choice) -> Numbers:
    found = []
    first = 0
    for shard in shards:
        for batch in shard.table.select(list(choice.deciding)).to_batches():
            found.append(choice.rows(pa.Table.from_batches([batch])) + first)
            first += batch.num_rows
    return np.concatenate(found) if found else np.empty(0, np.int64)
