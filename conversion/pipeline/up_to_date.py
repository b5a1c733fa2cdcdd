"""Recognise a finished conversion by the stamps of its input and output files.

Without stamps, a conversion reads all metadata, lists every image and reads every shard for its
digest, which takes minutes to an hour at full size. So a finished conversion writes a note of its
options, inputs and outputs (see ``Stamps`` for what is trusted). The note lies in the user's cache
and not in the dataset folder, because the files there must not depend on time or place. If there
is no note, or anything differs from it, the conversion runs in full.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bioscan5m_hf.errors import ArchiveError, OutputError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.schema.columns import split_named
from bioscan5m_hf.schema.configurations import METADATA
from bioscan5m_hf.sources.manifest import FORMAT_VERSION, MANIFEST_NAME
from bioscan5m_hf.sources.raw_plan import selection_identity
from bioscan5m_hf.storage.identity import digest_of, file_identity
from bioscan5m_hf.storage.path import RemotePath
from conversion.catalogue.sources import Choice
from conversion.derive.recipe import versions
from conversion.files.atomic import Written, write_whole
from conversion.folder.manifest import Manifest, ShardFile
from conversion.folder.state import State
from conversion.pipeline.options import fingerprinted
from conversion.pipeline.outcome import Outcome, Summary
from conversion.planning.packages import libraries
from conversion.rejects import REJECTS_NAME, Finding, read_rejects

if TYPE_CHECKING:
    from conversion.pipeline.interfaces import Sink
    from conversion.pipeline.options import ConvertOptions

_VERSION: Final = 3
_KEPT_RUNS: Final = 64

Splits = Mapping[str, Sequence[str]]
"""The published splits of each package."""


def fingerprint(
    options: ConvertOptions, metadata: MetadataFile, choices: Sequence[Choice]
) -> str | None:
    """Return a digest of everything that decides the contents of a dataset folder.

    Returns:
        The digest in hex. ``None`` if an input cannot be examined, which the conversion itself will
        report, or if the release is a URL, because a server cannot prove that a file is unchanged.
    """
    if isinstance(options.release, RemotePath):
        return None
    libraries_used = libraries() | (versions() if options.derive is not None else {})
    parts: list[object] = [version("bioscan5m-hf"), FORMAT_VERSION, sorted(libraries_used.items())]
    parts += fingerprinted(options)
    try:
        parts += [file_identity(metadata.path), metadata.member]
        for choice in choices:
            splits = [split.name for split in choice.splits]
            parts += [choice.package, splits, choice.recipe, selection_identity(choice.selection)]
            if choice.recipe and choice.recipe.crop and choice.bbox:
                parts.append(file_identity(choice.bbox))
    except ArchiveError:
        return None
    return digest_of(*map(repr, parts))


class Finished:
    """The note about finished conversions into one dataset folder."""

    def __init__(self, options: ConvertOptions, fingerprint: str | None, state: State) -> None:
        self._options = options
        self._fingerprint = fingerprint
        self._state = state
        self._note = _note_of(options.output)
        self._runs: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads(self._note.read_bytes()) if self._note else {}
            if kept["version"] == _VERSION:
                state.stamps.add(kept["stamps"])
                self._runs = dict(kept["runs"])

    def recall(self, before: Manifest, sink: Sink | None) -> Summary | None:
        """Return the result of the same conversion, if all its files are still in place.

        Returns:
            Its summary, with no shard made; ``None`` if the conversion must run.
        """
        run = self._runs.get(self._fingerprint or "")
        if run is None or self._options.restart or self._state.receipts():
            return None
        folder = self._options.output
        splits: Splits = run["splits"]
        if run["content"] != _content(before, splits):
            return None
        if (folder / MANIFEST_NAME).read_bytes() != before.to_json():
            return None
        files = [*_shards(before, splits), *before.extras.values()]
        with ThreadPoolExecutor(self._options.threads) as pool:
            if not all(pool.map(lambda file: self._is_in_place(file, sink), files)):
                return None
        if sink:
            sink.finish()
        self._keep(before)
        rejects = read_rejects(folder / REJECTS_NAME)
        bad_rows = tuple(finding for package, finding in rejects if package is None)
        outcomes = tuple(_outcome(before, name, splits[name], rejects) for name in splits)
        return Summary(before, 0, outcomes, bad_rows, run["strays"])

    def remember(self, summary: Summary) -> Summary:
        """Write the result of a conversion to the note, if the note can be written."""
        if self._fingerprint:
            splits = {outcome.package: list(outcome.splits) for outcome in summary.outcomes}
            self._runs.pop(self._fingerprint, None)
            self._runs[self._fingerprint] = {
                "splits": splits,
                "content": _content(summary.manifest, splits),
                "strays": summary.strays,
            }
            self._keep(summary.manifest)
        return summary

    def _is_in_place(self, file: ShardFile, sink: Sink | None) -> bool:
        written = Written(file.bytes, file.xxh3)
        if (self._options.output / file.path).exists():
            return self._state.stamps.holds(file.path, written)
        return sink is not None and sink.has(file.path, written)

    def _keep(self, manifest: Manifest) -> None:
        if self._note is None:
            return
        listed = {file.path for file in (*manifest.files(), *manifest.extras.values())}
        stamps = self._state.stamps.to_json()
        note = {
            "version": _VERSION,
            "folder": str(self._options.output.resolve()),
            "runs": dict(list(self._runs.items())[-_KEPT_RUNS:]),
            "stamps": {name: stamp for name, stamp in stamps.items() if name in listed},
        }
        # If this fails, the next run only takes longer.
        with contextlib.suppress(OutputError):
            write_whole(self._note, json.dumps(note, indent=1).encode())


def _note_of(folder: Path) -> Path | None:
    """The path of the note of a dataset folder; ``None`` if the user has no home folder."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    except RuntimeError:
        return None
    return cache / "bioscan5m" / f"converted-{digest_of(str(folder.resolve()))}.json"


def _shards(manifest: Manifest, splits: Splits) -> list[ShardFile]:
    """The shards of the given splits, and of the metadata."""
    wanted = {(name, split) for name, found in splits.items() for split in found}
    return [
        shard
        for name, found in manifest.splits.items()
        for split, files in found.items()
        if name == METADATA or (name, split) in wanted
        for shard in files.shards
    ]


def _content(manifest: Manifest, splits: Splits) -> str:
    """A digest of the manifest's entries for the given splits and for the metadata."""
    parts: list[object] = [manifest.format, manifest.name, manifest.version]
    for name in (*sorted(splits), METADATA):
        found = manifest.splits.get(name, {})
        parts += [name, manifest.derived.get(name)]
        parts += [
            (split, found[split]) for split in sorted(splits.get(name, found)) if split in found
        ]
    return digest_of(*map(repr, parts))


def _outcome(
    manifest: Manifest,
    package: str,
    splits: Sequence[str],
    rejects: Sequence[tuple[str | None, Finding]],
) -> Outcome:
    found = manifest.splits.get(package, {})
    findings = tuple(
        finding
        for name, finding in rejects
        if name == package
        and (finding.split is None or split_named(finding.split).published in splits)
    )
    return Outcome(
        package, {split: found[split] for split in splits if split in found}, (), findings
    )
