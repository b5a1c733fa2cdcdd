"""Describe the task of making one shard, in small values that any worker can unpickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bioscan5m_hf.readers.formats import format_named
from bioscan5m_hf.storage.inside import to_write
from bioscan5m_hf.storage.ranges import DEFAULT_HOLD
from conversion.derive.recipe import Recipe
from conversion.formats.samples import PLAIN, SampleExtras
from conversion.planning.shards import Shard


@dataclass(frozen=True, slots=True)
class ShardTask:
    """Everything that making one shard needs.

    Attributes:
        shard: The shard to make; its range counts the rows of ``members``.
        folder: The dataset folder.
        format: The name of the format.
        members: The file with the location of each image.
        rows: The file with upstream's columns of all specimens; a second file beside it has the
            place of each row in it.
        sources: The archives and folders, in the order of their numbers in ``members``.
        labels: The names of these sources in messages.
        record: Whether a flawed image is left out and reported, instead of being an error.
        made_from: Everything that decides the bytes of the shard, as names and values; an
            unfinished run is continued only if all of them are equal.
        recipe: How each image is made from its source; ``None`` if images pass through.
        hold: How many bytes of remote archives are held in memory at a time.
        extras: The additional members of a sample.
        vocabularies: The file with the numbers of labels, if the format has samples.
    """

    shard: Shard
    folder: str
    format: str
    members: str
    rows: str
    sources: tuple[str, ...]
    labels: tuple[str, ...]
    record: bool
    made_from: tuple[tuple[str, str], ...]
    recipe: Recipe | None = None
    hold: int = DEFAULT_HOLD
    extras: SampleExtras = PLAIN
    vocabularies: str | None = None

    @property
    def name(self) -> str:
        """The path of the shard in the dataset folder, with slashes."""
        return self.shard.name(format_named(self.format).suffix)

    @property
    def path(self) -> Path:
        """The path of the shard."""
        return Path(self.folder) / self.name

    def final_path(self) -> Path:
        """The path of the shard, after a check that it may be written.

        Raises:
            ForeignFolder: It leads out of the folder.
        """
        return to_write(Path(self.folder), self.name)
