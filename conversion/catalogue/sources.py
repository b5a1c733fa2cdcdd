"""Choose the sources of a package: its own archives and folders, or those of another package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bioscan5m_hf.release.find import Release, Selection
from bioscan5m_hf.schema.columns import SPLITS, Split
from conversion.derive.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Choice:
    """The sources of a package.

    Attributes:
        selection: Its archives and folders.
        splits: The splits to convert.
        recipe: How it is made from its sources; ``None`` if images pass through.
        bbox: Upstream's file of bounding boxes, if the release has it.
    """

    selection: Selection
    splits: tuple[Split, ...]
    recipe: Recipe | None = None
    bbox: Path | None = None

    @property
    def package(self) -> str:
        """The name of the package, and of its configuration."""
        return self.recipe.package if self.recipe else self.selection.package

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user, as sentences."""
        notes = (f"{self.recipe.package}: {self.recipe.description}",) if self.recipe else ()
        return (*self.selection.notes, *notes)


def select(
    release: Release, package: str, wanted: Sequence[Split], recipe: Recipe | None = None
) -> Choice:
    """Choose the sources of a package, and the splits to convert.

    Args:
        release: The release.
        package: The package.
        wanted: The requested splits; empty for all that have sources.
        recipe: How it is made from another package, if it is derived.

    Raises:
        ReleaseNotFound: There is no source for one of the requested splits.
    """
    source = recipe.source if recipe else package
    for split in wanted:
        release.select(source, [split])
    selection = release.select(source, wanted or SPLITS)
    chosen = wanted or [split for split in SPLITS if split.name in selection.splits]
    splits = tuple(split for split in SPLITS if split in chosen)
    bbox = release.bbox if isinstance(release.bbox, Path) else None
    return Choice(selection, splits, recipe, bbox)
