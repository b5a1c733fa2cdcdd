"""Describe the inputs of a conversion: the release, and the sources of each package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.release.find import Release
from bioscan5m_hf.release.metadata.rows import BadRow
from conversion.catalogue.sources import Choice, select
from conversion.derive.recipe import recipe_for, target_name, versions

if TYPE_CHECKING:
    from conversion.pipeline.options import ConvertOptions


@dataclass(frozen=True, slots=True)
class OpenedRelease:
    """A release whose metadata are being read.

    Attributes:
        release: Its files.
        batches: The batches that ``read_metadata`` yields.
        bad_rows: The records that were left out so far.
        notes: Remarks about the metadata so far, as sentences for the user.
    """

    release: Release
    batches: Iterator[pa.RecordBatch]
    bad_rows: list[BadRow]
    notes: list[str]


def covered_by(choices: Iterable[Choice]) -> set[tuple[str, str]]:
    """The pairs of configuration and published split that the choices cover."""
    return {(choice.package, split.published) for choice in choices for split in choice.splits}


def choose_with_notes(
    options: ConvertOptions, release: Release, say: Callable[[str], None]
) -> list[Choice]:
    """Choose the sources of each package, and print the notes about them and the release.

    Raises:
        BioscanError: See ``choose``.
    """
    choices = choose(options, release)
    for note in (*release.notes, *(note for choice in choices for note in choice.notes)):
        say(note)
    return choices


def choose(options: ConvertOptions, release: Release) -> list[Choice]:
    """Choose the sources of each package.

    Raises:
        UsageError: The options contradict each other, or a package cannot be derived.
        ReleaseNotFound: The sources of a package are missing.
        MissingDependency: A package is to be derived, and a library for that is not installed.
    """
    if options.derive is None:
        wanted = options.packages or tuple(release.packages)
        return [select(release, package, options.splits) for package in wanted]
    if not options.packages:
        raise UsageError("no package is named to derive", fix="add --package NAME")
    versions()
    targets = dict.fromkeys(target_name(name, options.short_side) for name in options.packages)
    bbox = isinstance(release.bbox, Path)
    recipes = [
        recipe_for(name, release.packages, bbox=bbox, source=options.derive or None)
        for name in targets
    ]
    return [select(release, recipe.package, options.splits, recipe) for recipe in recipes]
