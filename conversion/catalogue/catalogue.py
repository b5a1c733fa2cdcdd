"""Catalogue the specimens of a release in their order, and the images of its packages.

Rows and images are sorted by split and md5(processid), in sorted runs in work files. Keys and
processids stay in memory, some 30 bytes for each specimen.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.catalogue.images import Images, sort_images
from bioscan5m_hf.catalogue.runs import SortedRuns
from bioscan5m_hf.catalogue.specimens import (
    LEAST_SCHEMA,
    Specimens,
    name_specimens,
    single_rows,
    sort_rows,
)
from bioscan5m_hf.errors import MetadataError, UsageError
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.image_index import Stray, read_images
from bioscan5m_hf.release.metadata.read import ROW, ROW_SCHEMA, BadRow, OnBadRow
from bioscan5m_hf.schema.columns import RANKS, SPLITS, Split
from bioscan5m_hf.schema.order import Keys
from bioscan5m_hf.schema.vocabularies import Vocabulary, VocabularyCounter
from conversion.catalogue.rows import RowDigest, SortedRows, settle_order
from conversion.catalogue.selection import SpecimenSelection

_STRETCH: Final = 1 << 14

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListedImages:
    """The images of a package as its archives and folders list them.

    Attributes:
        images: The images.
        strays: Files that are not images, or not in a folder where upstream puts images.
    """

    images: Images
    strays: tuple[Stray, ...]


@dataclass(frozen=True, slots=True)
class SourceOrder:
    """The record of each specimen in the metadata file.

    Attributes:
        rows: The number of each specimen's record, from 0, in the order of the specimens.
        records: How many records the file has.
        keys: The key of each specimen, which also contains its split.
    """

    rows: npt.NDArray[np.uint32]
    records: int
    keys: Keys


class Catalogue:
    """The specimens of a release, and the locations of their images.

    Args:
        work: A folder for work files; the caller removes it.
    """

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        self._stopped = threading.Event()
        self._rows: SortedRuns | None = None
        self._specimens: Specimens | None = None
        self._digest = RowDigest()
        self._selection = ""
        self._left_out: Keys = np.empty(0, np.uint64)

    @property
    def specimens(self) -> Specimens:
        """The specimens; available after ``settle_rows``."""
        assert self._specimens is not None, "the rows are not settled"
        return self._specimens

    @contextmanager
    def giving_up(self) -> Iterator[None]:
        """If the block fails, cancel the work that still runs in other threads."""
        try:
            yield
        except BaseException:
            self._stopped.set()
            raise

    def load_metadata(self, batches: Iterable[pa.RecordBatch], *, slim: bool = False) -> None:
        """Load and sort the metadata.

        Args:
            batches: The batches that ``read_metadata`` yields; its errors are raised here.
            slim: Keep only the columns that decide the order, for an inspection.

        Raises:
            OutputError: There is no room for them.
        """
        schema = LEAST_SCHEMA if slim else ROW_SCHEMA
        rows = self._wanted(batches if slim else self._watched(batches))
        self._rows = sort_rows(rows, self.work / "rows.arrow", schema)

    def _watched(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self._digest.add(batch)
            yield batch

    def settle_rows(self, label: str, on_bad_row: OnBadRow | None = None) -> None:
        """Check that each processid occurs in one row only, and fix the order of the specimens.

        Args:
            label: The name of the metadata in messages.
            on_bad_row: Called with each row that repeats the processid of an earlier row; that
                row is then left out. By default such a row is an error.

        Raises:
            MetadataError: A processid occurs twice.
        """
        assert self._rows is not None, "the metadata are not loaded"
        rows, repeated = single_rows(self._rows)
        for each in repeated:
            detail = f"the processid {each.processid} stands already in row {each.first}"
            if on_bad_row is None:
                raise MetadataError(
                    detail,
                    where=f"{label}: row {each.row}",
                    fix="remove one of them, or convert with --on-error record to keep the first",
                )
            on_bad_row(BadRow(each.row, each.processid, each.split, "duplicate", detail))
        self._specimens = name_specimens(rows)

    def select(self, selection: SpecimenSelection) -> None:
        """Keep only the selected specimens.

        Args:
            selection: The conditions.

        Raises:
            UsageError: No specimen is selected.
        """
        self._selection = selection.description
        rows = self.specimens.rows
        chosen = selection.choose(rows)
        if not chosen.any():
            raise UsageError(
                f"no specimen of {len(rows):,} is selected ({selection.description})",
                fix="check the names against the metadata, or use fewer conditions",
            )
        self._left_out = rows.keys[~chosen]
        self._specimens = name_specimens(rows.choose(chosen))

    def of_selected(self, images: Images) -> Images:
        """Leave out the images of specimens that were not selected; orphans stay.

        Args:
            images: The images of a package.
        """
        if not len(self._left_out):
            return images
        keys = images.rows.keys
        unwanted = np.isin(keys, self._left_out) & ~np.isin(keys, self.specimens.rows.keys)
        return images.choose(~unwanted)

    def split_counts(self) -> list[tuple[Split, int]]:
        """How many specimens each split has."""
        return list(zip(SPLITS, np.diff(self.specimens.edges()).tolist(), strict=True))

    def source_order(self, bad_rows: Iterable[BadRow]) -> SourceOrder:
        """Find the record of each specimen in the metadata file.

        Args:
            bad_rows: The records that were left out.
        """
        assert self._rows is not None, "the metadata are not loaded"
        every = self._numbers(self._rows)
        rows = self.specimens.rows
        numbers = every if len(rows) == len(every) else self._numbers(rows)
        left_out = [bad.row for bad in bad_rows]
        first = min([int(every.min()), *left_out])
        last = max([int(every.max()), *left_out])
        found = (numbers - np.uint64(first)).astype(np.uint32)
        return SourceOrder(found, last - first + 1, rows.keys)

    def _numbers(self, rows: SortedRuns) -> npt.NDArray[np.uint64]:
        stretches = self._wanted(rows.stretches(_STRETCH, [ROW]))
        return np.concatenate([batch[ROW].to_numpy() for _, batch in stretches])

    def vocabularies(self) -> list[Vocabulary]:
        """The distinct values of each rank over all specimens."""
        counter = VocabularyCounter()
        for _, batch in self._wanted(self.specimens.rows.stretches(_STRETCH, [*RANKS, "split"])):
            counter.add(batch)
        return counter.vocabularies()

    def sorted_rows(self) -> SortedRows:
        """Write the place of each specimen's row, so that rows can be read in order.

        Raises:
            OutputError: There is no room for it.
        """
        return settle_order(self.specimens.rows, self._digest.hexdigest(self._selection))

    def list_images(self, selection: Selection, splits: Sequence[Split]) -> ListedImages:
        """List the images of a package and their locations.

        Args:
            selection: The package's archives and folders.
            splits: The requested splits; images of other splits are ignored.

        Raises:
            ArchiveError: An archive is damaged, or an image of these splits is encrypted.
            OutputError: There is no room for the list.
        """
        strays: list[Stray] = []
        batches = read_images(selection, splits, strays.append)
        path = self.work / f"images-{selection.package}.arrow"
        return ListedImages(sort_images(self._wanted(batches), path), tuple(strays))

    def _wanted(self, items: Iterable[T]) -> Iterator[T]:
        for item in items:
            if self._stopped.is_set():
                raise CancelledError
            yield item
