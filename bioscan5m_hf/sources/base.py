"""Define the data behind a path, whatever its kind: which splits, pieces and labels there are."""

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
    """See that ``on_error=`` is one of its values.

    Raises:
        UnknownName: It is not.
    """
    if on_error not in ("stop", "skip"):
        raise UnknownName.of("on_error", str(on_error), ("stop", "skip"))


class Data(Protocol):
    """The data behind a path, as the builder reads them."""

    @property
    def root(self) -> Location:
        """Where it is."""
        ...

    @property
    def packages(self) -> list[str]:
        """The packages that there are images of, in upstream's order."""
        ...

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that there is data of."""
        ...

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """The pieces of one split, in order."""
        ...

    def wanting(self, splits: Iterable[Split], *, labels: bool = False) -> Self:
        """The same data, told what will be asked of them: an index may be made of less than all.

        Args:
            splits: The splits whose pieces will be asked for.
            labels: Whether vocabularies will be.
        """
        del splits, labels
        return self

    def mappable_files(self, configuration: Configuration, split: Split) -> list[Path] | None:
        """The files of a split, if they can be mapped into memory as they are."""
        del configuration, split
        return None

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank over all records that are served."""
        ...

    def digest(self, configuration: Configuration, split: Split) -> str:
        """What tells the content of one split from another content."""
        ...


@dataclass(frozen=True, slots=True)
class StoredData(Data):
    """A dataset folder as data.

    Attributes:
        folder: What the folder holds.
        repository: The URL in a repository of the Hub that was asked for, where the folder lies in
            a commit of it, or in the snapshot of one: then no file of it can be another than its
            manifest says.
    """

    folder: DatasetFolder
    repository: str | None = None

    @property
    def root(self) -> Location:
        """Where it is."""
        return self.folder.root

    @property
    def packages(self) -> list[str]:
        """The packages that there are shards of, other sizes after upstream's."""
        return in_order(self.folder.shards)

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that there are shards of.

        Raises:
            ReleaseNotFound: There is nothing of it.
        """
        return self.folder.splits(configuration)

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """One piece for each shard; what was flawed was settled when they were made."""
        del on_error
        return [open_shard(path) for path in self.paths(configuration, split)]

    def paths(self, configuration: Configuration, split: Split) -> list[Location]:
        """The shards of one split, in order.

        Raises:
            OutOfReach: They are looked for in the Hub's cache, which lacks some of them.
        """
        shards = self.folder.shards_of(configuration, split)
        absent = self._absent(shards)
        if absent:
            raise OutOfReach(
                f"the Hub's cache lacks {counted(len(absent), 'shard')} of {configuration.name}/"
                f"{split.published}, and the Hub is out of reach; the first is {absent[0]}",
                where=self.repository,
                fix="with a network, load it once, or get all of it with: hf download",
            )
        return [self.root / shard.path for shard in shards]

    def _absent(self, shards: Iterable[StoredShard]) -> list[str]:
        """The shards that a snapshot of the Hub's cache lacks; none for another folder."""
        root = self.root
        if self.repository is None or not isinstance(root, Path):
            return []
        return [shard.path for shard in shards if not (root / shard.path).exists()]

    def mappable_files(self, configuration: Configuration, split: Split) -> list[Path] | None:
        """The shards of a split, if they are local and of a format that can be mapped."""
        root = self.root
        if not isinstance(root, Path):
            return None
        shards = self.folder.shards_of(configuration, split)
        paths = [root / shard.path for shard in shards]
        maps = all(reader_class(SUFFIXES[path.suffix]).maps for path in paths)
        return paths if maps and not self._absent(shards) else None

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank, from the file of vocabularies where there is one.

        Raises:
            UnknownName: There is no such rank.
            MetadataError: They can neither be read nor be counted.
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
        """A folder of an earlier version has no vocabularies: they are counted."""
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
        """What tells the content of one split from another content."""
        shards = self.folder.shards_of(configuration, split)
        told = [f"{shard.path} {shard.digest}" for shard in shards]
        # A shard may have been changed, and the manifest not.
        if not (self.repository and all(shard.digest for shard in shards)):
            told.append(identity_of(self.root / shard.path for shard in shards))
        return digest_of(self.folder.format, *told)
