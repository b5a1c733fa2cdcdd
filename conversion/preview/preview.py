"""Forecast what a conversion would write, and the disk, memory and time that it would need."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import ForeignFolder
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.processors import processors
from bioscan5m_hf.release.metadata.read import BadRow, read_metadata
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.storage.path import RemotePath
from bioscan5m_hf.storage.prefetch import Ahead
from conversion.catalogue.sources import Choice
from conversion.files.atomic import require_apart
from conversion.folder.manifest import Manifest
from conversion.folder.state import State, check_ours
from conversion.pipeline.comparison import compare_with, refuse_changes, refuse_mixing
from conversion.pipeline.inputs import OpenedRelease, choose_with_notes, covered_by
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.preparation import Prepared, prepare
from conversion.pipeline.steps import read_before
from conversion.planning.packages import PackagePlan, specimen_bytes
from conversion.planning.shards import Shard
from conversion.planning.tasks import ShardTask
from conversion.progress import Watcher
from conversion.shards.build import make_shard

# Card, pictures, notebook and vocabularies.
_PRESENTATION_BYTES: Final = 4 << 20
# The memory of a worker that is not shared with the process it is forked from.
_WORKER_BYTES: Final = 48 << 20
# For the trial: how many images are made first, to load libraries and open archives, and how many
# images are timed.
_WARMING: Final = 16
_IMAGES: Final = 400


@dataclass(frozen=True, slots=True)
class SplitPreview:
    """A split that would be written.

    Attributes:
        configuration: The configuration.
        split: The published name of the split.
        specimens: How many rows it would have.
        left_out: How many specimens have no image.
        shards: How many shards it would have.
        bytes: The estimated total size of these shards.
        there: Whether the folder already has all of it.
    """

    configuration: str
    split: str
    specimens: int
    left_out: int
    shards: int
    bytes: int
    there: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The forecast of a conversion.

    Attributes:
        splits: The splits that would be written.
        temporary: The bytes of work files, which are removed at the end.
        free: The free bytes on the output's disk; ``None`` if the output is a URL.
        scratch: How many bytes of the output are on the disk at a time, if shards are uploaded.
        memory: The estimated memory of all processes together, in bytes.
        workers: How many shards are made at a time.
        seconds: The estimated duration; ``None`` on a cluster, whose machines are not measured.
    """

    splits: tuple[SplitPreview, ...]
    temporary: int
    free: int | None
    scratch: int | None
    memory: int
    workers: int
    seconds: float | None

    @property
    def bytes(self) -> int:
        """The estimated bytes that would be written."""
        return sum(split.bytes for split in self.splits if not split.there)

    @property
    def disk(self) -> int:
        """The estimated bytes of disk space that it takes at most."""
        held = self.bytes + _PRESENTATION_BYTES
        return (min(held, self.scratch) if self.scratch else held) + self.temporary

    @property
    def fits(self) -> bool:
        """Whether the disk has enough free space."""
        return self.free is None or self.disk <= self.free


def preview(options: ConvertOptions, watcher: Watcher, *, away: bool = False) -> Preview:
    """Forecast a conversion without running it.

    Args:
        options: What to convert, and how.
        watcher: Receives messages and progress.
        away: Whether the output is a URL; then its existing contents are ignored.

    Raises:
        BioscanError: An error that would stop the conversion before its first shard.
    """
    began = time.perf_counter()
    with watcher.progress("looking for the release"):
        release = locate_release(options.release)
    if not away:
        require_apart(options.release, options.output)
    choices = choose_with_notes(options, release, watcher.say)
    before = None if away else _before(options, choices)
    bad: list[BadRow] = []
    notes: list[str] = []
    batches = read_metadata(release.metadata, bad.append if options.record else None, notes.append)
    workers = options.workers or processors()
    with temporary_folder() as made, closing(Ahead(batches)) as reading:
        work = made / "work"
        opened = OpenedRelease(release, reading, bad, notes)
        found = prepare(options, opened, choices, work, watcher, workers)
        temporary = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
        preparing = time.perf_counter() - began
        tasks = [task for plan in found.plans for task in plan.tasks]
        there = set() if away else _there(options, before, found.plans, tasks, watcher)
        todo = [task for task in tasks if task.shard not in there]
        seconds = None
        if not options.scheduler:
            with watcher.progress("making some images, to see how long it takes"):
                seconds = preparing + _making(found.plans, todo, made / "trial", workers)
        splits = (*_splits(options, found.plans, there), *_metadata(options, before, found))
    return Preview(
        splits,
        temporary,
        None if away else _free(options.output),
        _scratch(options, away=away),
        _memory(options, workers),
        workers,
        seconds,
    )


def _before(options: ConvertOptions, choices: Sequence[Choice]) -> Manifest | None:
    """Read the manifest of the output folder, with the same checks as the conversion."""
    check_ours(options.output)
    try:
        # Without restart, which would remove a manifest that cannot be read.
        before = read_before(replace(options, restart=False), covered_by(choices))
    except ForeignFolder:
        if not options.restart:
            raise
        return None
    refuse_mixing(before, choices, options.extras, options.output)
    return before


def _there(
    options: ConvertOptions,
    before: Manifest | None,
    plans: Sequence[PackagePlan],
    tasks: Sequence[ShardTask],
    watcher: Watcher,
) -> set[Shard]:
    """The shards that the folder already has."""
    state = State(options.output)
    finished: set[tuple[str, str]] = set()
    with watcher.progress("looking at what is there"):
        if before:
            finished, changes = compare_with(before, plans, options, lambda *_: False)
            if changes and not options.restart:
                refuse_changes("what this folder holds", [*changes.values()], options.output)
        todo = [t for t in tasks if (t.shard.configuration, t.shard.split) not in finished]
        if (changed := state.changes(todo)) and not options.restart:
            refuse_changes("the unfinished conversion in this folder", changed, options.output)
        made = {task.shard for task in todo if state.trusted(task, lambda *_: False)}
    return made | {task.shard for task in tasks} - {task.shard for task in todo}


def _making(
    plans: Sequence[PackagePlan], todo: Sequence[ShardTask], folder: Path, workers: int
) -> float:
    """Estimate the seconds for all shards; workers beyond processors or shards do not help."""
    folder.mkdir()
    alone = sum(
        _seconds_for([task for task in todo if task.shard.configuration == plan.package], folder)
        for plan in plans
    )
    return alone / max(1, min(workers, processors(), len(todo)))


def _seconds_for(tasks: Sequence[ShardTask], folder: Path) -> float:
    """Estimate the seconds that one worker needs for some shards of one package.

    The first images of the largest shard are made and timed, after a few to load libraries and open
    archives.

    Raises:
        BioscanError: An image is flawed, or a source cannot be read.
    """
    if not tasks:
        return 0.0
    largest = max(tasks, key=lambda task: task.shard.rows)
    _made(largest, _WARMING, folder)
    images, seconds = _made(largest, _IMAGES, folder)
    return seconds / images * sum(task.shard.rows for task in tasks)


def _made(task: ShardTask, most: int, folder: Path) -> tuple[int, float]:
    shard = task.shard
    piece = replace(shard, stop=min(shard.stop, shard.start + most))
    began = time.perf_counter()
    result = make_shard(replace(task, shard=piece, folder=str(folder), record=True))
    seconds = time.perf_counter() - began
    if result.written:
        replace(task, folder=str(folder)).path.unlink()
    return piece.rows, seconds


def _splits(
    options: ConvertOptions, plans: Sequence[PackagePlan], there: set[Shard]
) -> list[SplitPreview]:
    row_bytes = specimen_bytes(options.format, options.extras)
    found = []
    for plan in plans:
        for count in plan.members.counts:
            name = count.split.published
            tasks = [task for task in plan.tasks if task.shard.split == name]
            size = sum(
                int(plan.members.planned[task.shard.start : task.shard.stop].sum())
                for task in tasks
            )
            found.append(
                SplitPreview(
                    plan.package,
                    name,
                    count.with_image,
                    count.specimens - count.with_image,
                    len(tasks),
                    size + count.with_image * row_bytes,
                    there.issuperset(task.shard for task in tasks),
                )
            )
    return found


def _metadata(
    options: ConvertOptions, before: Manifest | None, found: Prepared
) -> list[SplitPreview]:
    plan = found.metadata_plan(options.format, Path(), options.shard_bytes)
    shards = plan.shards()
    held = before.splits.get(METADATA, {}) if before else {}
    return [
        SplitPreview(
            METADATA,
            split.published,
            count,
            0,
            sum(shard.split == split.published for shard in shards),
            count * plan.writer.row_bytes,
            split.published in held,
        )
        for split, count in found.counts
        if count
    ]


def _free(folder: Path) -> int:
    held = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(held).free


def _scratch(options: ConvertOptions, *, away: bool) -> int | None:
    if options.scratch or not away:
        return options.scratch
    return options.shards_on_disk * options.shard_bytes


def _memory(options: ConvertOptions, workers: int) -> int:
    """Estimate the memory: the peak of this process while planning, and that of each worker."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = peak if sys.platform == "darwin" else peak << 10
    hold = options.hold(workers) if isinstance(options.release, RemotePath) else 0
    return own + workers * (_WORKER_BYTES + hold)
