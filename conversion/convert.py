"""Convert a release: find it, catalogue it, plan it, make the shards, write card and manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa

from bioscan5m_hf.ahead import Ahead
from bioscan5m_hf.errors import ChangedInput, ForeignFolder, MetadataError
from bioscan5m_hf.members import Stray
from bioscan5m_hf.metadata import BadRow, OnBadRow, read_metadata
from bioscan5m_hf.release import Release
from bioscan5m_hf.remote import Location
from bioscan5m_hf.remote_release import locate_release
from bioscan5m_hf.schema import Split
from bioscan5m_hf.variants import METADATA
from bioscan5m_hf.windows import DEFAULT_HOLD
from conversion.catalogue import Catalogue
from conversion.choices import choose
from conversion.execute import run_shards
from conversion.files import Written, require_apart, sync_folder
from conversion.findings import Finding, bad_row_finding
from conversion.fingerprint import fingerprint
from conversion.finished import Finished
from conversion.manifest import MANIFEST_NAME, Manifest, read_manifest
from conversion.outcome import (
    Folder,
    Outcome,
    compare_with,
    metadata_changes,
    refuse_mixing,
    settle,
    without,
)
from conversion.package_plan import (
    Choice,
    MemberList,
    PackagePlan,
    PlanOptions,
    list_members,
    plan_package,
)
from conversion.pools.base import Pool
from conversion.pools.opening import open_pool
from conversion.reconcile import require_fit
from conversion.shard import ShardResult, ShardTask
from conversion.sink import Sink
from conversion.sorted_rows import SortedRows, store_rows
from conversion.state import State, open_state
from conversion.stored_metadata import MetadataPlan, MetadataShard, StoredMetadata
from conversion.summary import Summary
from conversion.writers import metadata_writer, writer_named

if TYPE_CHECKING:
    from conversion.pools.cluster import ClusterOptions

DEFAULT_SHARD_BYTES: Final = 500_000_000
_SHOWN: Final = 5
_METADATA_AHEAD: Final = 8


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What to convert, and how.

    Attributes:
        release: The folder of the release, or the URL of it.
        output: The dataset folder.
        workers: How many processes work on this machine; without a cluster, each makes a shard at a
            time.
        packages: The packages; none for every package that is found.
        splits: The splits; none for every split that there are images of.
        shard_bytes: The size that a shard should have at most.
        format: The format of the shards.
        record: Leave out and record what is flawed, instead of stopping.
        restart: Throw away what was made from other input or with other options.
        name: What examples call it: the repository it is going to be published to.
        derive: Make the packages from others of the release.
        derive_from: The package to make them from; none to choose.
        short_side: The shorter side in pixels of what is derived, where it is not in the name.
        cluster: Makes the shards in the place of this machine.
        read_ahead: How many bytes of remote archives all workers together hold at a time.
    """

    release: Location
    output: Path
    workers: int
    packages: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    shard_bytes: int = DEFAULT_SHARD_BYTES
    format: str = "parquet"
    record: bool = False
    restart: bool = False
    name: str | None = None
    derive: bool = False
    derive_from: str | None = None
    short_side: int | None = None
    cluster: ClusterOptions | None = None
    read_ahead: int | None = None

    @property
    def hold(self) -> int:
        """How many bytes of remote archives one worker may hold."""
        return self.read_ahead // self.workers if self.read_ahead else DEFAULT_HOLD


class Reporter(Protocol):
    """Told how a conversion goes."""

    def say(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def begin(self, images: int, done: int) -> None:
        """So many images are going to be converted, of which some are done."""
        ...

    def reached(self, images: int) -> None:
        """So many of those that were not done are done now."""
        ...

    def end(self) -> None:
        """All are done."""
        ...


def convert(options: ConvertOptions, reporter: Reporter, sink: Sink | None = None) -> Summary:
    """Convert a release into a dataset folder.

    Args:
        options: What to convert, and how.
        reporter: Told how it goes.
        sink: Takes finished shards away; by default they stay in the folder.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``; nothing is left half-written.
    """
    release = locate_release(options.release)
    if isinstance(options.release, Path):
        require_apart(options.release, options.output)
    choices = choose(options, release)
    for note in (*release.notes, *(note for choice in choices for note in choice.notes)):
        reporter.say(note)
    with open_state(options.output) as state:
        before = _read_before(options)
        refuse_mixing(before, choices, options.output)
        finished = Finished(options, fingerprint(options, release.metadata, choices), state)
        if before and (summary := finished.recall(before, sink)):
            reporter.say("everything is there already, made from the same files")
            return summary
        run = _Conversion(options, release, state, reporter, before, sink)
        with open_pool(options, state.work, reporter.say) as pool:
            return finished.remember(run.run(choices, pool))


def _read_before(options: ConvertOptions) -> Manifest | None:
    """The manifest of what the folder holds already, if it is of the format that is asked for."""
    if not (options.output / MANIFEST_NAME).exists():
        return None
    try:
        before = read_manifest(options.output)
    except ForeignFolder:
        if not options.restart:
            raise
        (options.output / MANIFEST_NAME).unlink()
        return None
    if before.format != options.format:
        ending = {"webdataset": "wds"}.get(options.format, options.format)
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
        release: Release,
        state: State,
        reporter: Reporter,
        before: Manifest | None,
        sink: Sink | None,
    ) -> None:
        self._sink = sink
        self._options = options
        self._release = release
        self._state = state
        self._reporter = reporter
        self._before = before
        self._bad_rows: list[Finding] = []

    def run(self, choices: Sequence[Choice], pool: Pool) -> Summary:
        work = self._state.work
        file = self._release.metadata
        self._reporter.say(f"reading the metadata ({file.label})")
        with (
            # Begun at once: what comes next imports libraries, which takes as long.
            closing(Ahead(read_metadata(file, self._on_bad_row), _METADATA_AHEAD)) as reading,
            Catalogue(work / "catalogue", threads=self._options.workers) as catalogue,
            ThreadPoolExecutor(2) as aside,
            catalogue.giving_up(),
        ):
            # Reading the metadata and listing images do not need each other, nor do sorting the
            # rows and looking whether they fit together.
            first, *others = choices
            listing = aside.submit(catalogue.load_images, first.selection, first.splits)
            aside.submit(import_module, "conversion.beside")
            counts = self._load_metadata(catalogue, reading)
            sorting = aside.submit(store_rows, catalogue.sorted_rows(), work / "rows.arrow")
            listed = [self._list(catalogue, first, listing.result())]
            listed += [self._list(catalogue, choice) for choice in others]
            rows = sorting.result()
        # The disk is for shards from here on.
        shutil.rmtree(work / "catalogue")
        self._check_metadata(rows)
        plans = [plan_package(members, rows, self._plan_options()) for members in listed]
        finished = self._finished_splits(plans)
        tasks = [
            task
            for plan in plans
            for task in plan.tasks
            if (plan.package, task.shard.split) not in finished
        ]
        if changes := self._state.changes(tasks):
            self._refuse_changes("the unfinished conversion in this folder", changes)
            self._state.forget_receipts()
        # Not at the top: a tenth of a second, in which others do not wait for it.
        from conversion.beside import Beside

        with Beside(self._metadata_plan(rows, counts)) as beside:
            results, made = self._make(tasks, pool, beside.look_at)
            outcomes = [self._settle(plan, results, finished) for plan in plans]
            metadata, drawn = beside.stored(), beside.drawn()
            placed = self._place(metadata)
            manifest = self._folder().finish(
                outcomes,
                {plan.package: plan for plan in plans},
                placed,
                self._release.metadata.label,
                self._bad_rows,
                drawn,
            )
        self._state.forget_receipts()
        strays = sum(len(plan.members.reconciliation.strays) for plan in plans)
        return Summary(manifest, made, tuple(outcomes), tuple(self._bad_rows), strays)

    # ------------------------------------------------------------------------------ planning

    @property
    def _on_bad_row(self) -> OnBadRow | None:
        return self._keep_bad_row if self._options.record else None

    def _load_metadata(
        self, catalogue: Catalogue, batches: Iterator[pa.RecordBatch]
    ) -> list[tuple[Split, int]]:
        file = self._release.metadata
        catalogue.load_metadata(batches)
        catalogue.settle_rows(file.label, self._on_bad_row)
        counts = catalogue.place_rows()
        if not any(count for _, count in counts):
            raise MetadataError("has no rows that could be used", where=file.label)
        return counts

    def _metadata_plan(self, rows: SortedRows, counts: Sequence[tuple[Split, int]]) -> MetadataPlan:
        writer = metadata_writer(self._options.format)
        return MetadataPlan(rows, tuple(counts), self._state.work, writer, self._metadata_limit())

    def _check_metadata(self, rows: SortedRows) -> None:
        if self._before and (changes := metadata_changes(self._before, rows.content)):
            self._refuse_changes("what this folder holds", changes)
            (self._options.output / MANIFEST_NAME).unlink()
            self._before = None

    def _metadata_limit(self) -> int:
        """A folder that has the metadata already keeps its division into shards."""
        stored = self._before.splits.get(METADATA, {}) if self._before else {}
        limits = [files.shard_bytes for files in stored.values()]
        return limits[0] if limits else self._options.shard_bytes

    def _keep_bad_row(self, bad: BadRow) -> None:
        self._bad_rows.append(bad_row_finding(bad, self._release.metadata.label))

    def _list(
        self, catalogue: Catalogue, choice: Choice, strays: Sequence[Stray] | None = None
    ) -> MemberList:
        self._reporter.say(f"listing the images of {choice.selection.package}")
        record = self._options.record
        members = list_members(catalogue, choice, self._state.work, record=record, strays=strays)
        if not record:
            require_fit(members.reconciliation, str(self._release.root))
        return members

    def _plan_options(self) -> PlanOptions:
        return PlanOptions(
            self._options.output,
            self._state.work,
            self._options.format,
            self._options.shard_bytes,
            self._options.record,
            self._options.hold,
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
            from conversion.presentation import write_card

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
            final = folder / stored.path.name
            stored.path.replace(final)
            placed.append(replace(stored, path=final))
        sync_folder(folder)
        return replace(metadata, shards=tuple(placed))

    def _settle(
        self, plan: PackagePlan, results: Sequence[ShardResult], finished: set[tuple[str, str]]
    ) -> Outcome:
        held = self._before.splits.get(plan.package, {}) if self._before else {}
        suffix = writer_named(self._options.format).suffix
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
            self._sink.picks if self._sink else None,
        )

    def _make(
        self, tasks: Sequence[ShardTask], pool: Pool, look_at: Callable[[Path], None]
    ) -> tuple[list[ShardResult], int]:
        results: list[ShardResult] = []
        todo: list[ShardTask] = []
        if self._sink:
            self._sink.plan(tasks, self._options.shard_bytes)
        for task in tasks:
            if result := self._state.trusted(task, self._is_elsewhere):
                results.append(result)
                if self._sink:
                    self._sink.take(task, result)
            else:
                todo.append(task)
        by_shard = {task.shard: task for task in todo}
        done = sum(result.rows for result in results)
        if done:
            self._reporter.say(f"going on: {len(results)} of {len(tasks)} shards are finished")
        self._reporter.begin(done + sum(task.shard.rows for task in todo), done)
        # The longest first, so that no worker is left with a long shard at the end.
        todo.sort(key=lambda task: -task.shard.rows)
        has_room = self._sink.has_room if self._sink else lambda _running: True
        for result in run_shards(todo, pool, self._reporter.reached, has_room):
            self._state.keep(by_shard[result.shard], result)
            results.append(result)
            if self._sink:
                self._sink.take(by_shard[result.shard], result)
            elif result.written and result.shard.index == 0:
                look_at(by_shard[result.shard].path)
        if self._sink:
            self._sink.finish()
        self._reporter.end()
        return results, len(todo)
