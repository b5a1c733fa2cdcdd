"""Write the vocabularies of a dataset folder: the numbers that stand for labels in training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, Vocabulary, to_parquet
from conversion.files.atomic import write_whole
from conversion.folder.manifest import Manifest, ShardFile


def write_vocabularies(
    folder: Path, manifest: Manifest, vocabularies: Sequence[Vocabulary]
) -> None:
    """Write the file and enter it in the manifest.

    Args:
        folder: The dataset folder.
        manifest: What it holds.
        vocabularies: One for each rank.

    Raises:
        OutputError: It cannot be written.
    """
    written = write_whole(folder / VOCABULARIES_NAME, to_parquet(vocabularies))
    values = sum(map(len, vocabularies))
    manifest.extras[VOCABULARIES_NAME] = ShardFile(
        VOCABULARIES_NAME, values, written.bytes, written.xxh3
    )
