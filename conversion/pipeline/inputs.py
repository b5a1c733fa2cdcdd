"""Describe the inputs of a conversion: a release being read, and what each package is made of."""

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
        batches: What ``read_metadata`` yields.
        bad_rows: The records that were left out until now.
        notes: What is to be said of the metadata until now, as sentences.
    """

    release: Release
    batches: Iterator[pa.RecordBatch]
    bad_rows: list[BadRow]
    notes: list[str]


def covered_by(choices: Iterable[Choice]) -> set[tuple[str, str]]:
    """The configurations and published splits that are made of some choices."""
    return {(choice.package, split.published) for choice in choices for split in choice.splits}


def choose_aloud(
    options: ConvertOptions, release: Release, say: Callable[[str], None]
) -> list[Choice]:
    """Decide what each package is made of, and say what is noteworthy of that and of the release.

    Raises:
        BioscanError: See ``choose``.
    """
    choices = choose(options, release)
    for note in (*release.notes, *(note for choice in choices for note in choice.notes)):
        say(note)
    return choices


def choose(options: ConvertOptions, release: Release) -> list[Choice]:
    """Decide what each package is made of.

    Raises:
        UsageError: The options do not go together, or a package cannot be derived.
        ReleaseNotFound: What a package is made of is not there.
        MissingDependency: Something is to be derived, and a library for it is not installed.
    """
    if options.derive is None:
        wanted = options.packages or tuple(release.packages)
        return [select(release, package, options.splits) for package in wanted]
    if not options.packages:
        raise UsageError("nothing is named to derive", fix="add --package NAME")
    versions()
    targets = dict.fromkeys(target_name(name, options.short_side) for name in options.packages)
    bbox = isinstance(release.bbox, Path)
    recipes = [
        recipe_for(name, release.packages, bbox=bbox, source=options.derive or None)
        for name in targets
    ]
    return [select(release, recipe.package, options.splits, recipe) for recipe in recipes]
