"""Prepare a conversion: catalogue the requested packages of a release, and plan their shards."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pyarrow as pa

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, to_parquet
from conversion.catalogue.catalogue import Catalogue, ListedImages, SourceOrder
from conversion.catalogue.inspection import describe_absent_splits, splits_without_images
from conversion.catalogue.members import MemberList, list_members
from conversion.catalogue.reconcile import require_fit, take_as_subset
from conversion.catalogue.rows import SortedRows
from conversion.catalogue.sources import Choice
from conversion.files.atomic import write_whole
from conversion.formats.registry import metadata_writer, writer_named
from conversion.pipeline.inputs import OpenedRelease
from conversion.pipeline.options import ConvertOptions
from conversion.planning.packages import PackagePlan, PlanOptions, plan_package
from conversion.progress import Watcher, counting_rows
from conversion.shards.metadata import MetadataPlan


@dataclass(frozen=True, slots=True)
class Prepared:
    """A conversion that is planned.

    Attributes:
        plans: The plan of each package.
        rows: Upstream's columns of every specimen.
        counts: How many specimens each split has.
        order: The position of each specimen's record in the metadata file.
    """

    plans: tuple[PackagePlan, ...]
    rows: SortedRows
    counts: tuple[tuple[Split, int], ...]
    order: SourceOrder

    def metadata_plan(self, form: str, folder: Path, limit: int) -> MetadataPlan:
        """Return the plan for writing the metadata configuration."""
        return MetadataPlan(self.rows, self.counts, folder, metadata_writer(form), limit)


def prepare(
    options: ConvertOptions,
    opened: OpenedRelease,
    choices: Sequence[Choice],
    work: Path,
    watcher: Watcher,
    workers: int,
) -> Prepared:
    """Catalogue a release, and plan the shards of the requested packages.

    Raises:
        BioscanError: The release cannot be read, or does not fit together.
    """
    return _Preparation(options, opened, work, watcher).run(choices, workers)


class _Preparation:
    """The steps of the preparation, and the state that they share."""

    def __init__(
        self, options: ConvertOptions, opened: OpenedRelease, work: Path, watcher: Watcher
    ) -> None:
        self._options = options
        self._opened = opened
        self._release = opened.release
        self._work = work
        self._watcher = watcher

    def run(self, choices: Sequence[Choice], workers: int) -> Prepared:
        self._watcher.say(f"reading the metadata ({self._release.metadata.label})")
        catalogue = Catalogue(self._work)
        with (
            ThreadPoolExecutor(2) as aside,
            catalogue.giving_up(),
        ):
            # Images are listed while the metadata are read. Later, labels are numbered and the
            # order of the metadata file is found while records and images are joined.
            first, *others = choices
            listing = aside.submit(catalogue.list_images, first.selection, first.splits)
            aside.submit(import_module, "conversion.pipeline.background")
            counts = self._load_metadata(catalogue)
            self._tell_of_absent_splits(choices, counts)
            numbering = aside.submit(self._number_labels, catalogue)
            numbered = aside.submit(catalogue.source_order, self._opened.bad_rows)
            with self._watcher.progress("joining records and images"):
                listed = [self._list(catalogue, first, listing.result())]
                listed += [self._list(catalogue, choice) for choice in others]
                rows = catalogue.sorted_rows()
        planning = self._plan_options(workers, numbering.result())
        with self._watcher.progress("planning the shards"):
            plans = [plan_package(members, rows, planning) for members in listed]
        # Shards are made from files, so the memory that only the planning needed is released.
        del catalogue, listing
        pa.default_memory_pool().release_unused()
        return Prepared(tuple(plans), rows, tuple(counts), numbered.result())

    def _load_metadata(self, catalogue: Catalogue) -> list[tuple[Split, int]]:
        label = self._release.metadata.label
        with self._watcher.progress("reading the metadata", unit="records") as reached:
            catalogue.load_metadata(counting_rows(self._opened.batches, reached))
        for note in self._opened.notes:
            self._watcher.say(note)
        keep = self._opened.bad_rows.append if self._options.record else None
        catalogue.settle_rows(label, keep)
        if selection := self._options.selection:
            every = len(catalogue.specimens.names)
            catalogue.select(selection)
            chosen = len(catalogue.specimens.names)
            self._watcher.say(f"{chosen:,} of {every:,} specimens: {selection.description}")
        counts = catalogue.split_counts()
        if not any(count for _, count in counts):
            raise MetadataError("has no usable rows", where=label)
        return counts

    def _tell_of_absent_splits(
        self, choices: Sequence[Choice], counts: Sequence[tuple[Split, int]]
    ) -> None:
        if self._options.splits:
            return
        for choice in choices:
            if absent := splits_without_images(choice.selection, counts):
                self._watcher.say(describe_absent_splits(choice.package, absent))

    def _list(
        self, catalogue: Catalogue, choice: Choice, images: ListedImages | None = None
    ) -> MemberList:
        self._watcher.say(f"listing the images of {choice.selection.package}")
        record = self._options.record
        members = list_members(catalogue, choice, self._work, record=record, listed=images)
        if self._options.subset:
            fitting, notes = take_as_subset(members.reconciliation)
            for note in notes:
                self._watcher.say(note)
            members = replace(members, reconciliation=fitting)
        if not record:
            root = str(self._release.root)
            require_fit(members.reconciliation, root, subset=self._options.subset)
        return members

    def _number_labels(self, catalogue: Catalogue) -> str | None:
        """Write the vocabularies if the format has samples; ``None`` if it does not."""
        if not writer_named(self._options.format).samples:
            return None
        path = self._work / VOCABULARIES_NAME
        write_whole(path, to_parquet(catalogue.vocabularies()))
        return str(path)

    def _plan_options(self, workers: int, vocabularies: str | None) -> PlanOptions:
        return PlanOptions(
            self._options.output,
            self._work,
            self._options.format,
            self._options.shard_bytes,
            self._options.record,
            self._options.hold(workers),
            self._options.selection.description,
            self._options.min_shards,
            self._options.extras,
            vocabularies,
        )
