"""Make what the sample of a specimen has beside image and record: labels, caption, class.

Training code wants numbers where the record has names. They are those of the vocabularies of the
dataset folder, -1 for a label that is missing.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.schema.columns import RANKS
from bioscan5m_hf.schema.vocabularies import Vocabulary, from_parquet

LABEL: Final = "_label"
"""What the names of the numbers end with: ``order_label`` is the number of ``order``."""

CAPTION: Final = "a photo of Animalia <phylum> <class> <order> <family> <genus> <epithet>"
"""What a caption says, as far as it is known; the epithet is what the species adds to the genus."""

SAMPLE_BYTES: Final = 1024
"""What one more member of a sample takes in a tar: a header, and a block of data."""

_ABOVE: Final = ("phylum", "class", "order", "family", "genus")
_START: Final = "a photo of Animalia"


@dataclass(frozen=True, slots=True)
class SampleExtras:
    """The members that a sample has beside image and record.

    Attributes:
        captions: Whether there is a caption, as ``.txt``.
        labels: The rank whose number stands in ``.cls``, if any.
    """

    captions: bool = False
    labels: str | None = None

    @property
    def told(self) -> str:
        """The members in words."""
        parts = [".txt (a caption)"] if self.captions else []
        parts += [f".cls (the number of the {self.labels})"] if self.labels else []
        return " and ".join(parts) or "image and record alone"

    @property
    def members(self) -> int:
        """How many there are."""
        return self.captions + (self.labels is not None)

    def to_json(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        return {"captions": self.captions, "labels": self.labels}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what a manifest keeps."""
        return cls(values["captions"], values["labels"])


PLAIN: Final = SampleExtras()


def with_labels(rows: pa.RecordBatch, vocabularies: Path) -> pa.RecordBatch:
    """Put the number of each label behind the columns.

    Raises:
        MetadataError: A value is not in the vocabularies.
    """
    held = _vocabularies(vocabularies, vocabularies.stat().st_mtime_ns)
    for rank in RANKS:
        rows = rows.append_column(rank + LABEL, held[rank].encode(rows[rank]))
    return rows


@functools.lru_cache(maxsize=1)
def _vocabularies(path: Path, _changed: int) -> dict[str, Vocabulary]:
    data = path.read_bytes()
    return {rank: from_parquet(data, rank, str(path)) for rank in RANKS}


def captions(rows: pa.RecordBatch) -> pa.StringArray:
    """The caption of each row, see ``CAPTION``."""
    names = zip(rows["species"].to_pylist(), rows["genus"].to_pylist(), strict=True)
    epithets = [
        species.removeprefix(f"{genus} ") if species and genus else species
        for species, genus in names
    ]
    return pc.binary_join_element_wise(
        _START,
        *(rows[rank] for rank in _ABOVE),
        pa.array(epithets, pa.string()),
        " ",
        null_handling="skip",
    )
