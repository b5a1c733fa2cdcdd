"""Write the vocabularies, the source row of each specimen, and the split table."""

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
from conversion.folder.small_files import SmallFiles

LABELS: Final = "labels"
"""The folder of the labels as text: one file for each rank, whose line numbers are the labels."""


def add_vocabularies(files: SmallFiles, folder: Path, vocabularies: Sequence[Vocabulary]) -> None:
    """Add the vocabularies as a table and as text.

    Args:
        files: The files to add to.
        folder: The dataset folder; nothing is written through a link in it.
        vocabularies: The vocabulary of each rank.
    """
    if not link_on_the_way(folder, VOCABULARIES_NAME):
        files.add(VOCABULARIES_NAME, to_parquet(vocabularies), sum(map(len, vocabularies)))
    for each in vocabularies:
        name = f"{LABELS}/{each.rank}.txt"
        if not link_on_the_way(folder, name):
            # Line breaks in a label become spaces, so that each label takes one line.
            lines = "".join(f"{' '.join(name.splitlines())}\n" for name in each.names)
            files.add(name, lines.encode(), len(each))


def add_order(files: SmallFiles, folder: Path, order: SourceOrder) -> None:
    """Add the record number of each specimen in the metadata file, and the split table.

    Args:
        files: The files to add to.
        folder: The dataset folder; nothing is written through a link in it.
        order: The record numbers, in the order of the specimens.
    """
    if not link_on_the_way(folder, SOURCE_ROWS_NAME):
        rows = source_rows.to_npy(order.rows, order.records)
        files.add(SOURCE_ROWS_NAME, rows, len(order.rows))
    if not link_on_the_way(folder, SPLIT_TABLE_NAME):
        table = split_table.to_npy(full_keys(order.keys), split_numbers(order.keys))
        files.add(SPLIT_TABLE_NAME, table, len(order.rows))
