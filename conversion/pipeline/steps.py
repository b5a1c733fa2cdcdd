"""Run one conversion: catalogue a release, plan it, make the shards, write card and manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from bioscan5m_hf.errors import ChangedInput, ForeignFolder, counted
from bioscan5m_hf.readers.formats import format_named
from bioscan5m_hf.release.metadata.rows import in_file_order
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from bioscan5m_hf.storage.inside import to_write
from conversion.catalogue.rows import SortedRows
from conversion.catalogue.sources import Choice
from conversion.executors.base import Pool
from conversion.executors.retry import run_shards
from conversion.files.atomic import Written, require_apart, sync_folder
from conversion.folder.loss import Pairs, describe_shards, refuse_loss, shards_on_disk
from conversion.folder.manifest import Manifest, read_manifest
from conversion.folder.state import State, open_state
from conversion.formats.registry import writer_named
from conversion.pipeline.comparison import (
    compare_with,
    metadata_changes,
    refuse_changes,
    refuse_mixing,
    without,
)
from conversion.pipeline.inputs import OpenedRelease, choose_with_notes, covered_by
from conversion.pipeline.interfaces import Sink
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Folder, Outcome, Summary, settle
from conversion.pipeline.preparation import Prepared, prepare
from conversion.pipeline.up_to_date import Finished, fingerprint
from conversion.pipeline.workers import open_cluster
from conversion.planning.packages import PackagePlan
from conversion.planning.tasks import ShardTask
from conversion.progress import Watcher
from conversion.rejects import bad_row_finding
from conversion.shards.build import ShardResult
from conversion.shards.metadata import MetadataPlan, MetadataShard, StoredMetadata


def run(
    options: ConvertOptions,
    opened: OpenedRelease,
    watcher: Watcher,
    workers: Pool | None,
    sink: Sink | None,
) -> Summary:
    """Convert a release whose metadata are being read.

    Args:
        options: What to convert, and how.
        opened: The release.
        watcher: Receives messages and progress.
        workers: The workers of this machine; ``None`` if a cluster makes the shards.
        sink: Uploads finished shards; ``None`` if they stay in the folder.

    Raises:
        BioscanError: See ``convert``.
    """
    release = opened.release
    require_apart(options.release, options.output)
    choices = choose_with_notes(options, release, watcher.say)
    with open_state(options.output, watcher.say) as state:
        before = read_before(options, covered_by(choices))
        refuse_mixing(before, choices, options.extras, options.output)
        finished = Finished(options, fingerprint(options, release.metadata, choices), state)
        if before and (summary := finished.recall(before, sink)):
            watcher.say("nothing to do: this folder was already made from the same files")
            return summary
        conversion = _Conversion(options, opened, state, watcher, before, sink)
        # The caller that opened the workers ends them too, but they must end before this block
        # releases the lock of the folder.
        with workers or open_cluster(options, state.work, watcher.say) as pool:
            return finished.remember(conversion.run(choices, pool))


def read_before(options: ConvertOptions, covered: Pairs) -> Manifest | None:
    """Read the manifest of the output folder, if there is one, and check its format."""
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
    """The steps of one run, in their order, and the state that they share."""

    def __init__(
        self,
        options: ConvertOptions,
        opened: OpenedRelease,
        state: State,
        watcher: Watcher,
        before: Manifest | None,
        sink: Sink | None,
    ) -> None:
        self._sink = sink
        self._options = options
        self._opened = opened
        self._release = opened.release
        self._state = state
        self._watcher = watcher
        self._before = before

    def run(self, choices: Sequence[Choice], pool: Pool) -> Summary:
        found = prepare(
            self._options, self._opened, choices, self._state.work, self._watcher, pool.workers
        )
        plans, rows = found.plans, found.rows
        covered = covered_by(choices)
        self._check_metadata(rows, covered)
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
        listed = in_file_order(self._opened.bad_rows)
        bad_rows = tuple(bad_row_finding(bad, label) for bad in listed)
        # Not at the top: it takes a tenth of a second, and earlier steps need not wait for it.
        from conversion.pipeline.background import BackgroundWork

        with BackgroundWork(self._metadata_plan(found), tasks) as background:
            results, made = self._make(tasks, pool, background.look_at)
            outcomes = [self._settle(plan, results, finished) for plan in plans]
            with self._watcher.progress("writing card and manifest"):
                metadata, drawn = background.stored(), background.drawn()
                placed = self._place(metadata)
                manifest = self._folder().finish(
                    outcomes,
                    {plan.package: plan for plan in plans},
                    placed,
                    (label, found.order),
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
            self._watcher.say(
                f"left as they are, and not part of the dataset: {describe_shards(others)}"
            )

    # ------------------------------------------------------------------------------ comparing

    def _metadata_plan(self, found: Prepared) -> MetadataPlan:
        return found.metadata_plan(self._options.format, self._state.work, self._metadata_limit())

    def _check_metadata(self, rows: SortedRows, covered: Pairs) -> None:
        selection = self._options.selection
        if self._before and (changes := metadata_changes(self._before, rows.content, selection)):
            self._refuse_changes("what this folder holds", changes)
            held = {file.path: file.bytes for file in self._before.files()}
            refuse_loss(held, covered, self._options.output)
            (self._options.output / MANIFEST_NAME).unlink()
            self._before = None

    def _metadata_limit(self) -> int:
        """The size limit of metadata shards; the existing limit stays if there are some."""
        stored = self._before.splits.get(METADATA, {}) if self._before else {}
        limits = [files.shard_bytes for files in stored.values()]
        return limits[0] if limits else self._options.shard_bytes

    def _finished_splits(self, plans: Sequence[PackagePlan]) -> set[tuple[str, str]]:
        """The configurations and splits that the folder already holds, made from this input."""
        if self._before is None:
            return set()
        finished, changes = compare_with(self._before, plans, self._options, self._is_elsewhere)
        if changes:
            self._refuse_changes("what this folder holds", list(changes.values()))
            # Until new shards are made, the card must not list the splits that will be replaced.
            self._before = without(self._before, changes)
            from conversion.card.presentation import write_card

            write_card(self._options.output, self._before)
        return finished

    def _refuse_changes(self, what: str, changes: Sequence[str]) -> None:
        if not self._options.restart:
            refuse_changes(what, changes, self._options.output)

    # -------------------------------------------------------------------------------- making

    def _place(self, metadata: StoredMetadata) -> StoredMetadata:
        """Move the metadata shards to their final paths."""
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
            self._watcher.say(f"resuming: {len(results)} of {len(tasks)} shards are finished")
        if left := sum(task.shard.rows for task in todo):
            self._watcher.say(f"converting {counted(left, 'image')}")
        # The largest shards first, so that no worker is still busy with one at the end.
        todo.sort(key=lambda task: -task.shard.rows)
        has_room = self._sink.has_room if self._sink else lambda _running: True
        with self._watcher.progress("converting", done + left, "images", done) as reached:
            for result in run_shards(todo, pool, lambda made: reached(done + made), has_room):
                self._state.keep(by_shard[result.shard], result)
                results.append(result)
                if self._sink:
                    self._sink.take(by_shard[result.shard], result)
                elif result.written:
                    look_at(by_shard[result.shard].path)
            if self._sink:
                self._sink.finish()
        return results, len(todo)

    def _taken_up(
        self, tasks: Sequence[ShardTask], look_at: Callable[[Path], None]
    ) -> tuple[list[ShardResult], list[ShardTask]]:
        """Return the results of an earlier run, and the tasks that remain."""
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
