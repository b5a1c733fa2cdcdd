"""A release whose metadata are being read while the rest of a conversion gets ready."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from bioscan5m_hf.release.find import Release
from bioscan5m_hf.release.metadata.rows import BadRow


@dataclass(frozen=True, slots=True)
class OpenedRelease:
    """A release whose metadata are being read.

    Attributes:
        release: Its files.
        batches: What ``read_metadata`` yields.
        bad_rows: The records that were left out until now.
        notes: What is to be said of the metadata until now, as sentences.
    """

    release: Release
    batches: Iterator[pa.RecordBatch]
    bad_rows: list[BadRow]
    notes: list[str]
