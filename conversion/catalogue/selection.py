"""Choose specimens of a release: by a condition, a number of each taxon, or as a sample.

The choice depends only on the metadata and, if the number is limited, on the order of
md5(processid). So the same release and options give the same specimens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.catalogue.keys import HASH, split_edges
from bioscan5m_hf.catalogue.runs import SortedRuns
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.query.text import parse_where
from bioscan5m_hf.schema.vocabularies import check_rank
from conversion.pipeline.option import PerTaxon

EVERY: Final = "every specimen"
_STRETCH: Final = 1 << 16

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SpecimenSelection:
    """The conditions for choosing specimens; they apply one after another, in this order.

    Attributes:
        where: A condition on the columns, as text.
        per_taxon: How many specimens of each taxon, over all splits.
        sample: How many specimens in total, from each split in proportion to its size.
    """

    where: str | None = None
    per_taxon: PerTaxon | None = None
    sample: int | None = None

    def __bool__(self) -> bool:
        return self != SpecimenSelection()

    @property
    def description(self) -> str:
        """The selection in words."""
        parts = [f"those with {self.where}"] if self.where else []
        if each := self.per_taxon:
            parts.append(
                f"of each {each.rank} with at least {each.least:,} of them over all splits, the "
                f"first {each.most:,} by md5(processid)"
            )
        if self.sample is not None:
            parts.append(
                f"{self.sample:,} of them, from each split in proportion to its size the first by "
                "md5(processid)"
            )
        return "; ".join(parts) or EVERY

    def to_json(self) -> dict[str, str | int]:
        """The values for the manifest."""
        named: dict[str, str | int] = {}
        if self.where:
            named["where"] = self.where
        if self.per_taxon:
            named["per_taxon"] = str(self.per_taxon)
        if self.sample is not None:
            named["sample"] = self.sample
        return named

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read the values from a manifest.

        Raises:
            UsageError: They are not a selection.
        """
        each = values.get("per_taxon")
        return cls(
            values.get("where"), None if each is None else PerTaxon.read(each), values.get("sample")
        )

    def choose(self, rows: SortedRuns) -> Mask:
        """Return a mask of the chosen specimens.

        Args:
            rows: The rows of all specimens, in their order.
        """
        chosen: Mask = np.ones(len(rows), np.bool_)
        if self.where:
            chosen &= _fitting(rows, self.where)
        if self.per_taxon:
            chosen &= _of_each_taxon(rows, chosen, self.per_taxon)
        if self.sample is not None:
            chosen &= _sampled(rows, chosen, self.sample)
        return chosen


def _fitting(rows: SortedRuns, where: str) -> Mask:
    condition = Filter.of(parse_where(where))
    assert condition is not None, "a text is never empty"
    fitting: Mask = np.zeros(len(rows), np.bool_)
    for start, batch in rows.stretches(_STRETCH, condition.columns):
        fitting[start + condition.rows(pa.Table.from_batches([batch]))] = True
    return fitting


def _of_each_taxon(rows: SortedRuns, chosen: Mask, wanted: PerTaxon) -> Mask:
    """The first specimens of each taxon by md5(processid); those without a label are left out."""
    check_rank(wanted.rank)
    names = [batch[wanted.rank] for _, batch in rows.stretches(_STRETCH, [wanted.rank])]
    encoded = pa.chunked_array(names, pa.string()).dictionary_encode().combine_chunks()
    taxa = pc.fill_null(encoded.indices, -1).to_numpy()
    at = np.flatnonzero(chosen & (taxa >= 0))
    order = at[np.lexsort((rows.keys[at] & HASH, taxa[at]))]
    counts = np.bincount(taxa[order], minlength=len(encoded.dictionary))
    firsts = np.cumsum(counts) - counts
    number = np.arange(len(order)) - firsts[taxa[order]]
    kept: Mask = np.zeros(len(rows), np.bool_)
    kept[order[(counts[taxa[order]] >= wanted.least) & (number < wanted.most)]] = True
    return kept


def _sampled(rows: SortedRuns, chosen: Mask, count: int) -> Mask:
    """The first specimens of each split; the shares are rounded so that their sum is ``count``."""
    edges = split_edges(rows.keys)
    before = np.append(0, np.cumsum(chosen))
    sizes = np.diff(before[edges])
    total = int(sizes.sum())
    if total <= count:
        return chosen
    shares, rests = np.divmod(sizes * count, total)
    # The splits with the largest remainders get one more; among equal ones, the first split.
    more = np.argsort(-rests, kind="stable")[: count - int(shares.sum())]
    shares[more] += 1
    number = before[:-1] - np.repeat(before[edges[:-1]], np.diff(edges))
    sampled: Mask = chosen & (number < np.repeat(shares, np.diff(edges)))
    return sampled
