"""Verify a dataset folder against its manifest, and optionally against the release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from bioscan5m_hf.errors import ConversionFailed, VerificationFailed, counted
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.schema.columns import Split, split_named
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME, STATE_FOLDER
from bioscan5m_hf.storage.inside import read_small
from bioscan5m_hf.storage.path import Location, is_in_memory
from conversion.card import readme
from conversion.card.front_matter import front_matter
from conversion.catalogue.catalogue import Catalogue
from conversion.catalogue.members import list_members
from conversion.catalogue.rows import SortedRows
from conversion.catalogue.sources import select
from conversion.executors.processes import Processes
from conversion.folder.manifest import Manifest, ShardFile, SplitFiles, read_manifest
from conversion.formats.samples import PLAIN
from conversion.planning.packages import PlanOptions, plan_package
from conversion.planning.tasks import ShardTask
from conversion.progress import BYTES, Reached, SilentWatcher, Watcher, counting_rows
from conversion.upload.copies import shard_names, without_shards
from conversion.verify.shard import Checked, CheckTask, Keys, check_bytes, check_shard

# Cards of this program have some ten thousand bytes; parsing a much longer one takes minutes.
_CARD_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The options of a verification.

    Attributes:
        folder: The dataset folder, or its URL.
        workers: How many shards are checked at a time.
        release: The release to compare every image and value with; ``None`` for no comparison.
        decode: Whether to decode every image.
    """

    folder: Location
    workers: int
    release: Location | None = None
    decode: bool = False


_Pool = Processes | ThreadPoolExecutor


def verify(options: VerifyOptions, watcher: Watcher | None = None) -> tuple[Manifest, list[str]]:
    """Compare a dataset folder with its manifest.

    Returns:
        The manifest, and the problems that were found, one line each.

    Raises:
        ForeignFolder: There is no manifest, or it cannot be read.
        DataError: The given release cannot be read.
    """
    with without_shards(options.folder) as folder:
        return _verify(options, folder, watcher or SilentWatcher())


def _verify(options: VerifyOptions, folder: Path, watcher: Watcher) -> tuple[Manifest, list[str]]:
    manifest = read_manifest(folder)
    findings: list[str] = []
    if manifest.to_json() != read_small(folder / MANIFEST_NAME, MANIFEST_BYTES):
        findings.append(f"{MANIFEST_NAME}: was changed")
    findings += filter(None, (check_bytes(folder, file) for file in manifest.extras.values()))
    findings += _check_names(shard_names(options.folder), manifest)
    findings += _check_card(folder, manifest)
    with temporary_folder() as work, _executor(options) as pool:
        sources: dict[str, ShardTask] = {}
        if options.release:
            sources, problems = _plan_again(options, manifest, work, watcher)
            findings += problems
        tasks = list(_tasks(options, manifest, sources))
        total = sum(task.file.bytes for task in tasks)
        with watcher.progress("proving the shards", total, BYTES) as reached:
            findings += _check_shards(tasks, manifest, pool, reached)
    return manifest, findings


def _executor(options: VerifyOptions) -> _Pool:
    if is_in_memory(options.folder) or is_in_memory(options.release):
        # Other processes cannot read files in the memory of this one.
        return ThreadPoolExecutor(options.workers)
    return Processes(options.workers)


def _tasks(
    options: VerifyOptions, manifest: Manifest, sources: dict[str, ShardTask]
) -> Iterator[CheckTask]:
    for configuration, split, files in _every_split(manifest):
        for file in files.shards:
            yield CheckTask(
                folder=str(options.folder),
                file=file,
                split=split_named(split).name,
                image=configuration != METADATA,
                decode=options.decode,
                source=sources.get(file.path),
            )


def _every_split(manifest: Manifest) -> Iterator[tuple[str, str, SplitFiles]]:
    for configuration, splits in manifest.splits.items():
        for split, files in splits.items():
            yield configuration, split, files


def _check_shards(
    tasks: Sequence[CheckTask], manifest: Manifest, pool: _Pool, reached: Reached
) -> Iterator[str]:
    checked: dict[str, Checked] = {}
    done = 0
    for result in _checked(tasks, pool):
        checked[result.file.path] = result
        done += result.file.bytes
        reached(done)
        yield from result.findings
    known: dict[str, Keys] = {}
    for configuration in (METADATA, *manifest.packages):
        splits = manifest.splits.get(configuration, {})
        held = {split: _keys(files.shards, checked) for split, files in splits.items()}
        yield from _check_configuration(configuration, splits, held, known)
        if configuration == METADATA:
            known = {split: keys for split, keys in held.items() if keys is not None}


def _checked(tasks: Sequence[CheckTask], pool: _Pool) -> Iterator[Checked]:
    try:
        yield from pool.map(check_shard, tasks)
    except ConversionFailed as error:
        raise VerificationFailed(f"{error.found}, so nothing is proved", fix=error.fix) from error


def _keys(shards: Iterable[ShardFile], checked: dict[str, Checked]) -> Keys | None:
    """The keys of a split in the order of its rows; ``None`` if one of its shards is unreadable."""
    found = [checked[shard.path].keys for shard in shards]
    whole = [keys for keys in found if keys is not None]
    return np.concatenate(whole) if whole and len(whole) == len(found) else None


def _check_configuration(
    name: str,
    splits: dict[str, SplitFiles],
    held: dict[str, Keys | None],
    known: dict[str, Keys],
) -> Iterator[str]:
    readable = [keys for keys in held.values() if keys is not None]
    together = np.concatenate(readable) if readable else np.zeros(0, "V16")
    if (repeated := len(together) - len(np.unique(together))) > 0:
        yield f"{name}: more than one row for {counted(repeated, 'processid')}"
    for split, keys in held.items():
        if keys is None:
            continue
        files = splits[split]
        if len(keys) != files.rows:
            yield f"{name}/{split}: has {counted(len(keys), 'row')} instead of {files.rows:,}"
        if len(keys) > 1 and (np.diff(_leading(keys).astype(object)) < 0).any():
            yield f"{name}/{split}: its shards are not in the order of md5(processid)"
        if split not in known or name == METADATA:
            continue
        if len(keys) + files.rejected != len(known[split]):
            yield (
                f"{name}/{split}: has {counted(len(keys), 'specimen')} and {files.rejected:,} "
                f"were left out, of {len(known[split]):,} in the metadata"
            )
        if strangers := int((~np.isin(keys, known[split])).sum()):
            yield f"{name}/{split}: the metadata lack {counted(strangers, 'specimen')} of it"


def _leading(keys: Keys) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.ascontiguousarray(keys.view(">u8").reshape(-1, 2)[:, 0].astype(np.uint64))


# ------------------------------------------------------------------------------ names and card


def _check_names(names: Sequence[str], manifest: Manifest) -> Iterator[str]:
    listed = {file.path for file in manifest.files()} | set(manifest.extras)
    for name in names:
        if name not in listed and not name.startswith(f"{STATE_FOLDER}/"):
            yield f"{name}: is not in the manifest"
    for configuration, split, files in _every_split(manifest):
        if sum(shard.rows for shard in files.shards) != files.rows:
            yield f"{MANIFEST_NAME}: the shards of {configuration}/{split} do not add up"


def _check_card(folder: Path, manifest: Manifest) -> Iterator[str]:
    try:
        text = read_small(folder / readme.CARD_NAME, _CARD_BYTES).decode()
        header = yaml.safe_load(text.split("---\n", 2)[1])
    except (OSError, ValueError, IndexError, RecursionError, yaml.YAMLError):
        yield f"{readme.CARD_NAME}: has no front matter that could be read"
        return
    found = header.get("configs") if isinstance(header, dict) else None
    if found != front_matter(manifest)["configs"]:
        yield f"{readme.CARD_NAME}: its configurations are not those of the files"


# -------------------------------------------------------------------------------- the release


def _plan_again(
    options: VerifyOptions, manifest: Manifest, work: Path, watcher: Watcher
) -> tuple[dict[str, ShardTask], list[str]]:
    """Plan the folder from the release again; shards that differ from the plan are findings."""
    assert options.release is not None
    release = locate_release(options.release)
    findings: list[str] = []
    sources: dict[str, ShardTask] = {}
    catalogue = Catalogue(work)
    # Bad rows were recorded when the folder was made, so they are left out here without a finding.
    with watcher.progress("reading the metadata of the release", unit="records") as reached:
        records = read_metadata(release.metadata, lambda _: None)
        catalogue.load_metadata(counting_rows(records, reached))
        catalogue.settle_rows(release.metadata.label, lambda _: None)
        if manifest.selection:
            catalogue.select(manifest.selection)
        rows = catalogue.sorted_rows()
    findings += _compare_metadata(manifest, rows, catalogue.split_counts())
    for package in manifest.packages:
        for split, files in manifest.splits[package].items():
            record = manifest.derived.get(package)
            recipe = record.recipe if record else None
            chosen = select(release, package, [split_named(split)], recipe)
            # Each split is listed separately here, and the list has the same name each time.
            listed_in = work / split
            listed_in.mkdir(exist_ok=True)
            with watcher.progress(f"listing the images of {package}, {split}"):
                members = list_members(catalogue, chosen, listed_in, record=True)
            plan = plan_package(
                members,
                rows,
                PlanOptions(
                    work,
                    work,
                    manifest.format,
                    files.shard_bytes,
                    True,
                    min_shards=len(files.shards),
                    extras=manifest.samples.get(package, PLAIN),
                ),
            )
            sources |= {task.name: task for task in plan.tasks}
    listed = {f.path for f in manifest.files() if not f.path.startswith(f"{METADATA}/")}
    findings += [
        f"{name}: differs from what the release gives" for name in sorted(listed - set(sources))
    ]
    return sources, findings


def _compare_metadata(
    manifest: Manifest, rows: SortedRows, counts: Sequence[tuple[Split, int]]
) -> list[str]:
    recorded = {record.digest for record in manifest.sources[METADATA].values()}
    if recorded == {rows.content}:
        return []
    held = {split: files.rows for split, files in manifest.splits[METADATA].items()}
    differences = [
        f"{METADATA}/{split.published}: {held.get(split.published, 0):,} rows, "
        f"in the release {count:,}"
        for split, count in counts
        if held.get(split.published, 0) != count
    ]
    return differences or [f"{METADATA}: some values differ from the release"]
