"""Define one interface for all kinds of data: their splits, pieces, labels and digests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from bioscan5m_hf.errors import MetadataError, OutOfReach, UnknownName, counted
from bioscan5m_hf.query.choice import Choice
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.readers.formats import SUFFIXES, open_shard, reader_class
from bioscan5m_hf.schema.columns import RANKS, Split
from bioscan5m_hf.schema.configurations import (
    METADATA,
    Configuration,
    configuration_named,
    in_order,
)
from bioscan5m_hf.schema.vocabularies import (
    VOCABULARIES_BYTES,
    Vocabulary,
    VocabularyCounter,
    check_rank,
    from_parquet,
)
from bioscan5m_hf.sources.dataset_folder import DatasetFolder, StoredShard
from bioscan5m_hf.storage.identity import digest_of, identity_of
from bioscan5m_hf.storage.open import exists, read_whole
from bioscan5m_hf.storage.path import Location


def check_on_error(on_error: str) -> None:
    """Check that ``on_error`` has a valid value.

    Raises:
        UnknownName: It does not.
    """
    if on_error not in ("stop", "skip"):
        raise UnknownName.of("on_error", str(on_error), ("stop", "skip"))


class Data(Protocol):
    """The data at a path or URL, as the builder reads them."""

    @property
    def root(self) -> Location:
        """The location of the data."""
        ...

    @property
    def packages(self) -> list[str]:
        """The packages whose images the data have, in upstream's order."""
        ...

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that have data."""
        ...

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """The pieces of one split, in order."""
        ...

    def wanting(self, splits: Iterable[Split], *, labels: bool = False) -> Self:
        """The same data, knowing what will be requested, so that an index may leave out the rest.

        Args:
            splits: The splits whose pieces will be requested.
            labels: Whether vocabularies will be requested.
        """
        del splits, labels
        return self

    def mappable_files(self, configuration: Configuration, split: Split) -> list[Path] | None:
        """The files of a split, if they can be memory-mapped without preparing them."""
        del configuration, split
        return None

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank over all records of the data."""
        ...

    def digest(self, configuration: Configuration, split: Split) -> str:
        """The digest of the content of one split."""
        ...


@dataclass(frozen=True, slots=True)
class StoredData(Data):
    """A dataset folder as data.

    Attributes:
        folder: The content of the folder.
        repository: The URL in a repository of the Hub that was requested, if the folder is in a
            commit or a snapshot of it; such files cannot differ from the manifest.
    """

    folder: DatasetFolder
    repository: str | None = None

    @property
    def root(self) -> Location:
        """The location of the folder."""
        return self.folder.root

    @property
    def packages(self) -> list[str]:
        """The packages that have shards, other sizes after upstream's."""
        return in_order(self.folder.shards)

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that have shards.

        Raises:
            ReleaseNotFound: The configuration has no shards.
        """
        return self.folder.splits(configuration)

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """One piece for each shard; ``on_error`` has no effect, because shards have no flaws."""
        del on_error
        return [open_shard(path) for path in self.paths(configuration, split)]

    def paths(self, configuration: Configuration, split: Split) -> list[Location]:
        """The shards of one split, in order.

        Raises:
            OutOfReach: The folder is in the Hub's cache, which lacks some of the shards.
        """
        shards = self.folder.shards_of(configuration, split)
        absent = self._absent(shards)
        if absent:
            raise OutOfReach(
                f"the Hub's cache lacks {counted(len(absent), 'shard')} of {configuration.name}/"
                f"{split.published}, and the Hub is out of reach; the first is {absent[0]}",
                where=self.repository,
                fix="load it once while the Hub can be reached, or download all of it with: hf "
                "download",
            )
        return [self.root / shard.path for shard in shards]

    def _absent(self, shards: Iterable[StoredShard]) -> list[str]:
        """The shards missing from a snapshot in the Hub's cache; empty for other folders."""
        root = self.root
        if self.repository is None or not isinstance(root, Path):
            return []
        return [shard.path for shard in shards if not (root / shard.path).exists()]

    def mappable_files(self, configuration: Configuration, split: Split) -> list[Path] | None:
        """The shards of a split, if they are local and their format can be memory-mapped."""
        root = self.root
        if not isinstance(root, Path):
            return None
        shards = self.folder.shards_of(configuration, split)
        paths = [root / shard.path for shard in shards]
        maps = all(reader_class(SUFFIXES[path.suffix]).maps for path in paths)
        return paths if maps and not self._absent(shards) else None

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank, from the file of vocabularies if there is one.

        Raises:
            UnknownName: There is no such rank.
            MetadataError: The vocabularies can neither be read nor be counted.
        """
        del on_error
        check_rank(rank)
        if exists(self.folder.vocabularies):
            data = read_whole(self.folder.vocabularies, VOCABULARIES_BYTES)
            return from_parquet(data, rank, str(self.folder.vocabularies))
        if METADATA not in self.folder.shards:
            raise MetadataError(
                "has no vocabularies, and no metadata configuration to count them in",
                where=str(self.root),
                fix="convert again",
            )
        return self._counted(rank)

    def _counted(self, rank: str) -> Vocabulary:
        """Count the values, because folders of earlier versions have no vocabularies."""
        counter = VocabularyCounter()
        configuration = configuration_named(METADATA)
        choice = Choice((*RANKS, "split"))
        for split in self.splits(configuration):
            for piece in self.pieces(configuration, split):
                for table in piece.read(choice):
                    for batch in table.to_batches():
                        counter.add(batch)
        return next(found for found in counter.vocabularies() if found.rank == rank)

    def digest(self, configuration: Configuration, split: Split) -> str:
        """The digest of the content of one split."""
        shards = self.folder.shards_of(configuration, split)
        parts = [f"{shard.path} {shard.digest}" for shard in shards]
        # A shard may have been changed without the manifest.
        if not (self.repository and all(shard.digest for shard in shards)):
            parts.append(identity_of(self.root / shard.path for shard in shards))
        return digest_of(self.folder.format, *parts)
