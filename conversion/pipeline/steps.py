"""One conversion: catalogue a release, plan it, make the shards, write card and manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Final

import pyarrow as pa

from bioscan5m_hf.errors import ChangedInput, ForeignFolder, MetadataError
from bioscan5m_hf.readers.formats import format_named
from bioscan5m_hf.release.metadata.rows import in_file_order
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME, to_parquet
from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from bioscan5m_hf.storage.inside import to_write
from conversion.catalogue.catalogue import Catalogue, ListedImages
from conversion.catalogue.inspection import splits_without_images, told_as_absent
from conversion.catalogue.members import MemberList, list_members
from conversion.catalogue.reconcile import require_fit, take_as_subset
from conversion.catalogue.rows import SortedRows
from conversion.catalogue.sources import Choice
from conversion.executors.base import Pool
from conversion.executors.retry import run_shards
from conversion.files.atomic import Written, require_apart, sync_folder, write_whole
from conversion.folder.loss import Pairs, refuse_loss, shards_on_disk, told_shards
from conversion.folder.manifest import Manifest, read_manifest
from conversion.folder.state import State, open_state
from conversion.formats.registry import metadata_writer, writer_named
from conversion.pipeline.comparison import compare_with, metadata_changes, refuse_mixing, without
from conversion.pipeline.inputs import OpenedRelease, choose, covered_by
from conversion.pipeline.interfaces import Reporter, Sink
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Folder, Outcome, Summary, settle
from conversion.pipeline.up_to_date import Finished, fingerprint
from conversion.pipeline.workers import open_cluster
from conversion.planning.packages import PackagePlan, PlanOptions, plan_package
from conversion.planning.tasks import ShardTask
from conversion.progress import counting_rows
from conversion.rejects import bad_row_finding
from conversion.shards.build import ShardResult
from conversion.shards.metadata import MetadataPlan, MetadataShard, StoredMetadata

_SHOWN: Final = 5


def run(
    options: ConvertOptions,
    opened: OpenedRelease,
    reporter: Reporter,
    workers: Pool | None,
    sink: Sink | None,
) -> Summary:
    """Convert a release whose metadata are being read.

    Args:
        options: What to convert, and how.
        opened: The release.
        reporter: Told how it goes.
        workers: Those of this machine; ``None`` where the shards are made by a cluster.
        sink: Takes finished shards away, if they do not stay in the folder.

    Raises:
        BioscanError: See ``convert``.
    """
    release = opened.release
    if isinstance(options.release, Path):
        require_apart(options.release, options.output)
    choices = choose(options, release)
    for note in (*release.notes, *(note for choice in choices for note in choice.notes)):
        reporter.say(note)
    with open_state(options.output, reporter.say) as state:
        before = _read_before(options, covered_by(choices))
        refuse_mixing(before, choices, options.extras, options.output)
        finished = Finished(options, fingerprint(options, release.metadata, choices), state)
        if before and (summary := finished.recall(before, sink)):
            reporter.say("everything is there already, made from the same files")
            return summary
        conversion = _Conversion(options, opened, state, reporter, before, sink)
        # Whoever opened the workers ends them too, but the folder may not be left before.
        with workers or open_cluster(options, state.work, reporter.say) as pool:
            return finished.remember(conversion.run(choices, pool))


def _read_before(options: ConvertOptions, covered: Pairs) -> Manifest | None:
    """The manifest of what the folder holds already, if it is of the format that is asked for."""
    if not (options.output / MANIFEST_NAME).exists():
        return None
    try:
        before = read_manifest(options.output)
    except ForeignFolder:
        if not options.restart:
            raise
        refuse_loss(shards_on_disk(options.output), covered, options.output)
        (options.output / MANIFEST_NAME).unlink()
        return None
    if before.format != options.format:
        ending = writer_named(options.format).ending or options.format
        raise ChangedInput(
            f"this folder holds {before.format} shards, and a folder holds one format",
            where=str(options.output),
            fix=f"use --output {options.output}-{ending} for {options.format}",
        )
    return before


class _Conversion:
    """One run: what its steps share, and the steps in their order."""

    def __init__(
        self,
        options: ConvertOptions,
        opened: OpenedRelease,
        state: State,
        reporter: Reporter,
        before: Manifest | None,
        sink: Sink | None,
    ) -> None:
        self._sink = sink
        self._options = options
        self._opened = opened
        self._release = opened.release
        self._state = state
        self._reporter = reporter
        self._before = before

    def run(self, choices: Sequence[Choice], pool: Pool) -> Summary:
        work = self._state.work
        self._reporter.say(f"reading the metadata ({self._release.metadata.label})")
        catalogue = Catalogue(work, threads=self._options.threads)
        with (
            ThreadPoolExecutor(2) as aside,
            catalogue.giving_up(),
        ):
            # Reading the metadata and listing images do not need each other, nor do taking the
            # digest of the rows and looking whether they fit together.
            first, *others = choices
            listing = aside.submit(catalogue.list_images, first.selection, first.splits)
            aside.submit(import_module, "conversion.pipeline.background")
            counts = self._load_metadata(catalogue)
            self._tell_of_absent_splits(choices, counts)
            sorting = aside.submit(catalogue.sorted_rows)
            numbering = aside.submit(self._number_labels, catalogue)
            numbered = aside.submit(catalogue.source_order, self._opened.bad_rows)
            with self._reporter.progress("joining records and images"):
                listed = [self._list(catalogue, first, listing.result())]
                listed += [self._list(catalogue, choice) for choice in others]
                rows = sorting.result()
        covered = covered_by(choices)
        self._check_metadata(rows, covered)
        planning = self._plan_options(pool.workers, numbering.result())
        with self._reporter.progress("planning the shards"):
            plans = [plan_package(members, rows, planning) for members in listed]
        # Shards are made from files: what was needed to plan them alone is given back.
        del catalogue, listing
        pa.default_memory_pool().release_unused()
        finished = self._finished_splits(plans)
        tasks = [
            task
            for plan in plans
            for task in plan.tasks
            if (plan.package, task.shard.split) not in finished
        ]
        for task in tasks:
            to_write(self._options.output, task.shard.name(""))
        if changes := self._state.changes(tasks):
            self._refuse_changes("the unfinished conversion in this folder", changes)
            self._state.forget_receipts(covered)
        label = self._release.metadata.label
        found = in_file_order(self._opened.bad_rows)
        bad_rows = tuple(bad_row_finding(bad, label) for bad in found)
        # Not at the top: a tenth of a second, in which others do not wait for it.
        from conversion.pipeline.background import BackgroundWork

        with BackgroundWork(self._metadata_plan(rows, counts), tasks) as background:
            results, made = self._make(tasks, pool, background.look_at)
            outcomes = [self._settle(plan, results, finished) for plan in plans]
            with self._reporter.progress("writing card and manifest"):
                metadata, drawn = background.stored(), background.drawn()
                placed = self._place(metadata)
                manifest = self._folder().finish(
                    outcomes,
                    {plan.package: plan for plan in plans},
                    placed,
                    (label, numbered.result()),
                    bad_rows,
                    drawn,
                )
        self._state.forget_receipts(covered)
        self._tell_of_others(manifest)
        strays = sum(len(plan.members.reconciliation.strays) for plan in plans)
        return Summary(manifest, made, tuple(outcomes), bad_rows, strays)

    def _tell_of_others(self, manifest: Manifest) -> None:
        listed = {file.path for file in manifest.files()}
        found = shards_on_disk(self._options.output)
        if others := {path: size for path, size in found.items() if path not in listed}:
            self._reporter.say(
                f"left as they are, and not part of the dataset: {told_shards(others)}"
            )

    # ------------------------------------------------------------------------------ planning

    def _load_metadata(self, catalogue: Catalogue) -> list[tuple[Split, int]]:
        label = self._release.metadata.label
        with self._reporter.progress("reading the metadata", unit="records") as reached:
            catalogue.load_metadata(counting_rows(self._opened.batches, reached))
        for note in self._opened.notes:
            self._reporter.say(note)
        keep = self._opened.bad_rows.append if self._options.record else None
        catalogue.settle_rows(label, keep)
        if selection := self._options.selection:
            every = len(catalogue.specimens.names)
            catalogue.select(selection)
            chosen = len(catalogue.specimens.names)
            self._reporter.say(f"{chosen:,} of {every:,} specimens: {selection.told}")
        counts = catalogue.split_counts()
        if not any(count for _, count in counts):
            raise MetadataError("has no rows that could be used", where=label)
        return counts

    def _tell_of_absent_splits(
        self, choices: Sequence[Choice], counts: Sequence[tuple[Split, int]]
    ) -> None:
        if self._options.splits:
            return
        for choice in choices:
            if absent := splits_without_images(choice.selection, counts):
                self._reporter.say(told_as_absent(choice.package, absent))

    def _metadata_plan(self, rows: SortedRows, counts: Sequence[tuple[Split, int]]) -> MetadataPlan:
        writer = metadata_writer(self._options.format)
        return MetadataPlan(rows, tuple(counts), self._state.work, writer, self._metadata_limit())

    def _check_metadata(self, rows: SortedRows, covered: Pairs) -> None:
        selection = self._options.selection
        if self._before and (changes := metadata_changes(self._before, rows.content, selection)):
            self._refuse_changes("what this folder holds", changes)
            held = {file.path: file.bytes for file in self._before.files()}
            refuse_loss(held, covered, self._options.output)
            (self._options.output / MANIFEST_NAME).unlink()
            self._before = None

    def _metadata_limit(self) -> int:
        """A folder that has the metadata already keeps its division into shards."""
        stored = self._before.splits.get(METADATA, {}) if self._before else {}
        limits = [files.shard_bytes for files in stored.values()]
        return limits[0] if limits else self._options.shard_bytes

    def _list(
        self, catalogue: Catalogue, choice: Choice, images: ListedImages | None = None
    ) -> MemberList:
        self._reporter.say(f"listing the images of {choice.selection.package}")
        record = self._options.record
        members = list_members(catalogue, choice, self._state.work, record=record, listed=images)
        if self._options.subset:
            fitting, notes = take_as_subset(members.reconciliation)
            for note in notes:
                self._reporter.say(note)
            members = replace(members, reconciliation=fitting)
        if not record:
            root = str(self._release.root)
            require_fit(members.reconciliation, root, subset=self._options.subset)
        return members

    def _number_labels(self, catalogue: Catalogue) -> str | None:
        """Write the vocabularies for the records of samples; none for another format."""
        if not writer_named(self._options.format).samples:
            return None
        path = self._state.work / VOCABULARIES_NAME
        write_whole(path, to_parquet(catalogue.vocabularies()))
        return str(path)

    def _plan_options(self, workers: int, vocabularies: str | None) -> PlanOptions:
        return PlanOptions(
            self._options.output,
            self._state.work,
            self._options.format,
            self._options.shard_bytes,
            self._options.record,
            self._options.hold(workers),
            self._options.selection.told,
            self._options.min_shards,
            self._options.extras,
            vocabularies,
        )

    def _finished_splits(self, plans: Sequence[PackagePlan]) -> set[tuple[str, str]]:
        """The configurations and splits that the folder holds already, made from the same."""
        if self._before is None:
            return set()
        finished, changes = compare_with(self._before, plans, self._options, self._is_elsewhere)
        if changes:
            self._refuse_changes("what this folder holds", list(changes.values()))
            # What is about to be overwritten is not advertised meanwhile.
            self._before = without(self._before, changes)
            from conversion.card.presentation import write_card

            write_card(self._options.output, self._before)
        return finished

    def _refuse_changes(self, what: str, changes: Sequence[str]) -> None:
        if self._options.restart:
            return
        shown = "; ".join(changes[:_SHOWN]) + ("; …" if len(changes) > _SHOWN else "")
        raise ChangedInput(
            f"{what} was made from something else: {shown}",
            where=str(self._options.output),
            fix="use the same input and options, another --output, or --restart to make it anew",
        )

    # -------------------------------------------------------------------------------- making

    def _place(self, metadata: StoredMetadata) -> StoredMetadata:
        """Let the metadata appear under its final names."""
        folder = self._options.output / METADATA
        folder.mkdir(exist_ok=True)
        placed: list[MetadataShard] = []
        for stored in metadata.shards:
            final = to_write(self._options.output, f"{METADATA}/{stored.path.name}")
            stored.path.replace(final)
            placed.append(replace(stored, path=final))
        sync_folder(folder)
        return replace(metadata, shards=tuple(placed))

    def _settle(
        self, plan: PackagePlan, results: Sequence[ShardResult], finished: set[tuple[str, str]]
    ) -> Outcome:
        held = self._before.splits.get(plan.package, {}) if self._before else {}
        suffix = format_named(self._options.format).suffix
        return settle(
            plan,
            [result for result in results if result.shard.configuration == plan.package],
            {split: files for split, files in held.items() if (plan.package, split) in finished},
            suffix,
            self._options.shard_bytes,
        )

    def _is_elsewhere(self, path: str, written: Written) -> bool:
        return self._sink is not None and self._sink.has(path, written)

    def _folder(self) -> Folder:
        options = self._options
        return Folder(
            options.output,
            options.format,
            options.shard_bytes,
            self._before,
            options.name,
            options.selection,
            options.extras,
            self._sink.picks if self._sink else None,
        )

    def _make(
        self, tasks: Sequence[ShardTask], pool: Pool, look_at: Callable[[Path], None]
    ) -> tuple[list[ShardResult], int]:
        results, todo = self._taken_up(tasks, look_at)
        by_shard = {task.shard: task for task in todo}
        done = sum(result.rows for result in results)
        if done:
            self._reporter.say(f"going on: {len(results)} of {len(tasks)} shards are finished")
        self._reporter.begin(done + sum(task.shard.rows for task in todo), done)
        # The longest first, so that no worker has a long one at the end.
        todo.sort(key=lambda task: -task.shard.rows)
        has_room = self._sink.has_room if self._sink else lambda _running: True
        for result in run_shards(todo, pool, self._reporter.reached, has_room):
            self._state.keep(by_shard[result.shard], result)
            results.append(result)
            if self._sink:
                self._sink.take(by_shard[result.shard], result)
            elif result.written:
                look_at(by_shard[result.shard].path)
        if self._sink:
            self._sink.finish()
        self._reporter.end()
        return results, len(todo)

    def _taken_up(
        self, tasks: Sequence[ShardTask], look_at: Callable[[Path], None]
    ) -> tuple[list[ShardResult], list[ShardTask]]:
        """What an earlier run has made, and what is left to make."""
        results: list[ShardResult] = []
        todo: list[ShardTask] = []
        if self._sink:
            self._sink.plan(tasks, self._options.shard_bytes)
        for task in tasks:
            result = self._state.trusted(task, self._is_elsewhere)
            if result is None:
                todo.append(task)
                continue
            results.append(result)
            if self._sink:
                self._sink.take(task, result)
            elif result.written:
                look_at(task.path)
        return results, todo
