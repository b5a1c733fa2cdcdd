"""Compare a dataset folder with a plan, to find which splits stay and which must be made again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.errors import ChangedInput, counted
from bioscan5m_hf.schema.columns import split_named
from bioscan5m_hf.schema.configurations import METADATA
from conversion.catalogue.selection import SpecimenSelection
from conversion.catalogue.sources import Choice
from conversion.files.atomic import Written, digest_of
from conversion.folder.manifest import Manifest, ShardFile, SplitFiles
from conversion.folder.state import IsElsewhere
from conversion.formats.samples import PLAIN, SampleExtras
from conversion.planning.packages import PackagePlan
from conversion.rejects import Finding

if TYPE_CHECKING:
    from conversion.pipeline.options import ConvertOptions

_SHOWN: Final = 5

ALL_SPLITS: Final = "all"
"""The key of the metadata's source record, because one file describes all splits."""


def refuse_mixing(
    before: Manifest | None, choices: Sequence[Choice], extras: SampleExtras, folder: Path
) -> None:
    """Refuse to mix images or samples that were made in different ways in one configuration.

    Raises:
        ChangedInput: They would be mixed.
    """
    if before is None:
        return
    for choice in choices:
        package = choice.package
        record = before.derived.get(package)
        members = before.samples.get(package, PLAIN)
        if package not in before.splits:
            continue
        if choice.recipe != (record and record.recipe):
            held = record.recipe.description if record else "upstream's own"
            wanted = choice.recipe.description if choice.recipe else "upstream's own"
        elif members != extras:
            held, wanted = (
                f"samples with {members.description}",
                f"samples with {extras.description}",
            )
        else:
            continue
        raise ChangedInput(
            f"{package} in this folder is {held}, and would be mixed with what is {wanted}",
            where=str(folder),
            fix="choose another --output",
        )


def refuse_changes(what: str, changes: Sequence[str], folder: Path) -> None:
    """Report that the existing files were made from other inputs or options.

    Raises:
        ChangedInput: Always.
    """
    listed = "; ".join(changes[:_SHOWN]) + ("; …" if len(changes) > _SHOWN else "")
    raise ChangedInput(
        f"{what} was made from different input or with different options: {listed}",
        where=str(folder),
        fix="use the same input and options, another --output, or --restart to make it again",
    )


def metadata_changes(before: Manifest, content: str, selection: SpecimenSelection) -> list[str]:
    """Return phrases about how the metadata differ from those of the folder; empty if equal."""
    record = before.sources.get(METADATA, {}).get(ALL_SPLITS)
    if record is None or record.digest == content:
        return []
    if before.selection != selection:
        return [
            f"the specimens were {before.selection.description}, and are {selection.description}"
        ]
    return ["the metadata have changed"]


def compare_with(
    before: Manifest,
    plans: Sequence[PackagePlan],
    wanted: ConvertOptions,
    is_elsewhere: IsElsewhere,
) -> tuple[set[tuple[str, str]], dict[tuple[str, str], str]]:
    """Find the splits that a folder already holds, and those made from other inputs or options.

    Returns:
        The pairs of configuration and published split that need not be made again, and the pairs
        that differ, each with a phrase about the difference.
    """
    held: list[tuple[str, str, SplitFiles]] = []
    changes: dict[tuple[str, str], str] = {}
    for plan in plans:
        for split, digest in plan.inputs.items():
            files = before.splits.get(plan.package, {}).get(split)
            if files is None:
                continue
            name = f"{plan.package}/{split}"
            # This is checked first: another shard size also changes the digest of the input.
            if files.shard_bytes != wanted.shard_bytes:
                changes[plan.package, split] = (
                    f"{name} has shards of {files.shard_bytes:,} bytes, not {wanted.shard_bytes:,}"
                )
            elif before.sources[plan.package][split].digest != digest:
                count = sum(task.shard.split == split for task in plan.tasks)
                changes[plan.package, split] = (
                    f"{name} has other images"
                    if count == len(files.shards)
                    else f"{name} has {counted(len(files.shards), 'shard')}, not {count:,}"
                )
            elif wanted.record or files.rejected == _planned_losses(plan)[split]:
                held.append((plan.package, split, files))

    def is_intact(shard: ShardFile) -> bool:
        if (wanted.output / shard.path).exists():
            return _is_intact(wanted.output, shard)
        return is_elsewhere(shard.path, Written(shard.bytes, shard.xxh3))

    shards = [shard for _, _, files in held for shard in files.shards]
    with ThreadPoolExecutor(wanted.threads) as pool:
        intact = dict(zip(shards, pool.map(is_intact, shards), strict=True))
    finished = {
        (package, split)
        for package, split, files in held
        if all(intact[shard] for shard in files.shards)
    }
    return finished, changes


def _planned_losses(plan: PackagePlan) -> Counter[str | None]:
    """How many specimens of each published split are left out before any image is read."""
    findings = plan.members.reconciliation.findings
    return Counter(published(finding) for finding in findings if finding.costs_specimen)


def _is_intact(folder: Path, shard: ShardFile) -> bool:
    path = folder / shard.path
    try:
        # The length shows most damage without reading the file.
        return path.stat().st_size == shard.bytes and digest_of(path).xxh3 == shard.xxh3
    except OSError:
        return False


def without(before: Manifest, dropped: Iterable[tuple[str, str]]) -> Manifest:
    """Return the manifest without the splits that will be made again."""
    gone = set(dropped)
    kept = replace(before, extras={}, rejects=dict(before.rejects))
    kept.splits = {
        name: {split: files for split, files in splits.items() if (name, split) not in gone}
        for name, splits in before.splits.items()
    }
    kept.splits = {name: splits for name, splits in kept.splits.items() if splits}
    return kept


def published(finding: Finding) -> str | None:
    """Return the published name of a finding's split, if the finding belongs to a split."""
    return None if finding.split is None else split_named(finding.split).published
