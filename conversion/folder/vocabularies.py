"""Write what tells numbers for specimens: vocabularies, the records they were read from, splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bioscan5m_hf.catalogue.keys import full_keys, split_numbers
from bioscan5m_hf.schema import source_rows
from bioscan5m_hf.schema.source_rows import SOURCE_ROWS_NAME
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, Vocabulary, to_parquet
from bioscan5m_hf.sources import split_table
from bioscan5m_hf.sources.split_table import SPLIT_TABLE_NAME
from bioscan5m_hf.storage.inside import link_on_the_way
from conversion.catalogue.catalogue import SourceOrder
from conversion.files.atomic import write_whole
from conversion.folder.manifest import Manifest, ShardFile

LABELS: Final = "labels"
"""The folder of the labels as text: of each rank a file, whose line numbers are the labels."""


def write_vocabularies(
    folder: Path, manifest: Manifest, vocabularies: Sequence[Vocabulary]
) -> None:
    """Write the vocabularies as a table and as text, and enter the files in the manifest.

    Raises:
        OutputError: A file cannot be written.
    """
    files = {VOCABULARIES_NAME: (to_parquet(vocabularies), sum(map(len, vocabularies)))}
    for each in vocabularies:
        # A label that has a line break stays on its line.
        lines = "".join(f"{' '.join(name.splitlines())}\n" for name in each.names)
        files[f"{LABELS}/{each.rank}.txt"] = lines.encode(), len(each)
    for name, (data, values) in files.items():
        _add(folder, manifest, name, data, values)


def write_order(folder: Path, manifest: Manifest, order: SourceOrder) -> None:
    """Write which record of the metadata file each specimen was, and in which split it is.

    Raises:
        OutputError: A file cannot be written.
    """
    files = {
        SOURCE_ROWS_NAME: source_rows.to_npy(order.rows, order.records),
        SPLIT_TABLE_NAME: split_table.to_npy(full_keys(order.keys), split_numbers(order.keys)),
    }
    for name, data in files.items():
        _add(folder, manifest, name, data, len(order.rows))


def _add(folder: Path, manifest: Manifest, name: str, data: bytes, values: int) -> None:
    if link_on_the_way(folder, name):
        # What lies behind a link is left as it is.
        return
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    written = write_whole(path, data)
    manifest.extras[name] = ShardFile(name, values, written.bytes, written.xxh3)
