"""Make the additional data of a sample: label numbers, caption and class.

Training code needs numbers where the record has names. The numbers come from the vocabularies of
the dataset folder; a missing label is -1.
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
"""The suffix of the columns with label numbers: ``order_label`` is the number of ``order``."""

CAPTION: Final = "a photo of Animalia <phylum> <class> <order> <family> <genus> <epithet>"
"""The form of a caption. Unknown ranks are left out; the epithet is the species without genus."""

SAMPLE_BYTES: Final = 1024
"""The bytes of an additional member in a tar: a header, and a block of data."""

_ABOVE: Final = ("phylum", "class", "order", "family", "genus")
_START: Final = "a photo of Animalia"


@dataclass(frozen=True, slots=True)
class SampleExtras:
    """The members of a sample in addition to image and record.

    Attributes:
        captions: Whether there is a caption, as ``.txt``.
        labels: The rank whose label number is in ``.cls``, if any.
    """

    captions: bool = False
    labels: str | None = None

    @property
    def description(self) -> str:
        """The members in words."""
        parts = [".txt (a caption)"] if self.captions else []
        parts += [f".cls (the number of the {self.labels})"] if self.labels else []
        return " and ".join(parts) or "image and record alone"

    @property
    def members(self) -> int:
        """The number of additional members."""
        return self.captions + (self.labels is not None)

    def to_json(self) -> dict[str, Any]:
        """The values for the manifest."""
        return {"captions": self.captions, "labels": self.labels}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read the values from a manifest."""
        return cls(values["captions"], values["labels"])


PLAIN: Final = SampleExtras()


def with_labels(rows: pa.RecordBatch, vocabularies: Path) -> pa.RecordBatch:
    """Append a column with label numbers for each rank.

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
    """Return the caption of each row; see ``CAPTION`` for its form."""
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
