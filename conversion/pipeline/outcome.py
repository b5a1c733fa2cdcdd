"""Record the outcome of a conversion in its folder: manifest, card, rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bioscan5m_hf.release.image_index import source_labels
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.storage.inside import link_on_the_way, remove
from conversion.catalogue.catalogue import SourceOrder
from conversion.catalogue.selection import SpecimenSelection
from conversion.derive.recipe import versions
from conversion.files.atomic import Written, digest_of
from conversion.folder.loss import beyond, shards_on_disk
from conversion.folder.manifest import DerivedRecord, Manifest, ShardFile, SourceRecord, SplitFiles
from conversion.folder.small_files import SmallFiles
from conversion.folder.vocabularies import add_order, add_vocabularies
from conversion.formats.base import Shape
from conversion.formats.registry import writer_named
from conversion.formats.samples import PLAIN, SampleExtras
from conversion.pipeline.comparison import ALL_SPLITS, published
from conversion.planning.packages import PackagePlan, libraries
from conversion.rejects import REJECTS_NAME, Finding, read_rejects, write_rejects
from conversion.shards.build import ShardResult
from conversion.shards.metadata import StoredMetadata

if TYPE_CHECKING:
    from conversion.card.figures.specimens import Pick
    from conversion.card.presentation import Drawn


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a conversion for one package.

    Attributes:
        package: The package.
        splits: The shards of each requested split, by its published name.
        made: The splits that this run made; the rest already existed.
        findings: The specimens and images that were left out of these splits.
    """

    package: str
    splits: dict[str, SplitFiles]
    made: tuple[str, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a conversion.

    Attributes:
        manifest: The contents of the dataset folder now.
        made: How many shards this run made; the rest already existed.
        outcomes: The result of each package.
        bad_rows: Rows of the metadata that were left out.
        strays: How many files in the archives are not images.
    """

    manifest: Manifest
    made: int
    outcomes: tuple[Outcome, ...]
    bad_rows: tuple[Finding, ...]
    strays: int


def _digest_of(path: Path) -> Written | None:
    try:
        return digest_of(path)
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Folder:
    """A dataset folder whose shards are all made.

    Attributes:
        path: The folder.
        format: The name of its format.
        shard_bytes: The size that a shard of this run should have at most.
        before: What the folder held before, and still holds.
        name: The dataset's name in examples; by default the name in the manifest.
        selection: Which specimens of the release the folder holds.
        extras: The additional members of each sample of this run.
        picks: Returns the specimens of the contact sheet, given the paths of some shards.
    """

    path: Path
    format: str
    shard_bytes: int
    before: Manifest | None
    name: str | None = None
    selection: SpecimenSelection = field(default_factory=SpecimenSelection)
    extras: SampleExtras = PLAIN
    picks: Callable[[Sequence[str]], Sequence[Pick]] | None = None

    def finish(
        self,
        outcomes: Sequence[Outcome],
        inputs: Mapping[str, PackagePlan],
        metadata: StoredMetadata,
        source: tuple[str, SourceOrder],
        bad_rows: Sequence[Finding],
        drawn: Drawn | None = None,
    ) -> Manifest:
        """Write the rejects, the small files, the card with its figures, and the manifest.

        Args:
            outcomes: The result of each package.
            inputs: The plan of each package.
            metadata: The metadata configuration.
            source: The name of the metadata file, and the position of each specimen's record
                in it.
            bad_rows: Rows of the metadata that were left out.
            drawn: The figures, if they are drawn already; by default they are drawn here.
        """
        label, order = source
        manifest = Manifest(self.format, version("bioscan5m-hf"), libraries())
        if self.before:
            manifest.name = self.before.name
            manifest.splits |= self.before.splits
            manifest.sources |= self.before.sources
            manifest.derived |= self.before.derived
            manifest.samples |= self.before.samples
        manifest.selection = self.selection
        manifest.name = self.name or manifest.name
        for outcome in outcomes:
            name = outcome.package
            files = manifest.splits.get(name, {}) | outcome.splits
            manifest.splits[name] = {split: found for split, found in files.items() if found.shards}
            if recipe := inputs[name].members.recipe:
                record = manifest.derived.get(name, DerivedRecord(recipe, {}))
                manifest.derived[name] = record.with_libraries(versions() if outcome.made else {})
            manifest.sources[name] = manifest.sources.get(name, {}) | _sources(inputs[name])
            if self.extras.members:
                manifest.samples[name] = self.extras
        manifest.splits[METADATA] = _metadata_files(self.path, metadata)
        manifest.sources[METADATA] = {ALL_SPLITS: SourceRecord((label,), metadata.content)}
        self._record(manifest, outcomes, bad_rows)
        small = SmallFiles(self.path, manifest)
        self._add_companions(manifest, small)
        add_vocabularies(small, self.path, metadata.vocabularies)
        add_order(small, self.path, order)
        small.write()
        # Not at the top: it takes a tenth of a second, and is only needed here.
        from conversion.card.presentation import sheet_shards, write_presentation

        picks = self.picks(sheet_shards(manifest)) if self.picks else None
        write_presentation(self.path, manifest, picks or None, drawn)
        self._remove_stale(manifest, outcomes)
        return manifest

    def _record(
        self, manifest: Manifest, outcomes: Sequence[Outcome], bad_rows: Sequence[Finding]
    ) -> None:
        """Write the rejects of this run, and those of earlier runs that are still valid."""
        redone = {(o.package, split) for o in outcomes for split in (*o.made, None)}
        path = self.path / REJECTS_NAME
        rejects: list[tuple[str | None, Finding]] = [(None, finding) for finding in bad_rows]
        rejects += [
            (package, finding)
            for package, finding in (read_rejects(path) if self.before else [])
            if package is not None and (package, published(finding)) not in redone
        ]
        rejects += [(o.package, finding) for o in outcomes for finding in o.findings]
        manifest.rejects = dict(Counter(finding.reason for _, finding in rejects))
        if rejects:
            written = write_rejects(path, sorted(rejects, key=_reject_order))
            manifest.extras[REJECTS_NAME] = ShardFile(
                REJECTS_NAME, len(rejects), written.bytes, written.xxh3
            )
        else:
            path.unlink(missing_ok=True)

    def _add_companions(self, manifest: Manifest, small: SmallFiles) -> None:
        for name in manifest.packages:
            shards = {
                split: [
                    Shape(shard.path.rpartition("/")[2], shard.rows, shard.bytes)
                    for shard in files.shards
                ]
                for split, files in manifest.splits[name].items()
            }
            for file, content in writer_named(self.format).companions(shards).items():
                path = f"{name}/{file}"
                if not link_on_the_way(self.path, path):
                    small.add(path, content)
                elif (found := _digest_of(self.path / path)) is not None:
                    # A file behind a link is recorded, but not overwritten.
                    manifest.extras[path] = ShardFile(path, 0, found.bytes, found.xxh3)

    def _remove_stale(self, manifest: Manifest, outcomes: Sequence[Outcome]) -> None:
        """Remove shards that remain from another division into shards, or from another format.

        Shards of splits that are neither in this run nor in the manifest are left alone.
        """
        listed = {shard.path for shard in manifest.files()}
        covered = {(name, split) for name, splits in manifest.splits.items() for split in splits}
        covered |= {(o.package, split) for o in outcomes for split in o.splits}
        found = shards_on_disk(self.path)
        for path in found.keys() - beyond(found, covered).keys() - listed:
            remove(self.path, path)


def settle(
    plan: PackagePlan,
    results: Sequence[ShardResult],
    finished: Mapping[str, SplitFiles],
    suffix: str,
    shard_bytes: int,
) -> Outcome:
    """Combine the results of a package, and check that no specimen is lost."""
    findings = [
        finding
        for finding in plan.members.reconciliation.findings
        if finding.split is None or published(finding) not in finished
    ]
    findings += [reject for result in results for reject in result.rejects]
    lost = Counter(published(finding) for finding in findings if finding.costs_specimen)
    splits: dict[str, SplitFiles] = {}
    for count in plan.members.counts:
        split = count.split.published
        if split in finished:
            splits[split] = finished[split]
            continue
        made = sorted(
            (result for result in results if result.shard.split == split),
            key=lambda result: result.shard.index,
        )
        rows = sum(result.rows for result in made)
        assert rows + lost[split] == count.specimens, (
            f"{plan.package}/{split}: {count.specimens} specimens went in, {rows} came out and "
            f"{lost[split]} were left out"
        )
        shards = tuple(
            ShardFile(r.shard.name(suffix), r.rows, r.written.bytes, r.written.xxh3)
            for r in made
            if r.written
        )
        image_bytes = sum(result.image_bytes for result in made)
        splits[split] = SplitFiles(rows, image_bytes, lost[split], shard_bytes, shards)
    made_splits = tuple(split for split in splits if split not in finished)
    return Outcome(plan.package, splits, made_splits, tuple(findings))


def _reject_order(reject: tuple[str | None, Finding]) -> tuple[str, ...]:
    package, found = reject
    return (package or "", found.reason, found.split or "", found.processid or "", found.detail)


def _sources(plan: PackagePlan) -> dict[str, SourceRecord]:
    names = tuple(sorted(source_labels(plan.members.selection)))
    return {split: SourceRecord(names, digest) for split, digest in plan.inputs.items()}


def _metadata_files(folder: Path, metadata: StoredMetadata) -> dict[str, SplitFiles]:
    found: dict[str, list[ShardFile]] = {}
    for stored in metadata.shards:
        path = stored.path.relative_to(folder).as_posix()
        file = ShardFile(path, stored.shard.rows, stored.written.bytes, stored.written.xxh3)
        found.setdefault(stored.shard.split, []).append(file)
    return {
        split: SplitFiles(sum(f.rows for f in files), 0, 0, metadata.shard_bytes, tuple(files))
        for split, files in found.items()
    }
