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
        shard: What to make; its rows count those of ``members``.
        folder: The dataset folder.
        format: The name of the format.
        members: The file that says where each image lies.
        rows: The file that holds upstream's columns of all specimens; where each row lies in it
            stands in another one beside it.
        sources: The archives and folders that ``members`` numbers.
        labels: How messages name these sources.
        record: Whether a flawed image is left out and reported, instead of being an error.
        made_from: Everything that decides the bytes of the shard, as names and values; an
            unfinished run is taken up only where they are the same.
        recipe: How each image is made from its source; ``None`` where it passes through.
        hold: How many bytes of remote archives are held at a time.
        extras: What a sample has beside image and record.
        vocabularies: The file that tells the numbers of labels, for a format of samples.
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
        """The path of the shard, for writing to it.

        Raises:
            ForeignFolder: It leads out of the folder.
        """
        return to_write(Path(self.folder), self.name)
