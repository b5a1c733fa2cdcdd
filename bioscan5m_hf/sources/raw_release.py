"""Serve a raw release as data without converting or unpacking it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pyarrow as pa

from bioscan5m_hf.errors import ReleaseNotFound
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.release.find import Release, Selection
from bioscan5m_hf.release.image_index import source_labels
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.configurations import Configuration
from bioscan5m_hf.schema.vocabularies import (
    VOCABULARIES_BYTES,
    Vocabulary,
    check_rank,
    from_parquet,
)
from bioscan5m_hf.sources.base import Data
from bioscan5m_hf.sources.raw_metadata import MetadataIndex, index_metadata
from bioscan5m_hf.sources.raw_piece import RawPiece
from bioscan5m_hf.sources.raw_plan import Plan, plan_images, plan_metadata, selection_identity
from bioscan5m_hf.storage.identity import digest_of, file_identity
from bioscan5m_hf.storage.open import read_whole
from bioscan5m_hf.storage.path import Location, RemotePath


@dataclass(frozen=True, slots=True)
class RawData(Data):
    """A raw release as data.

    Attributes:
        release: The release.
        cache: The folder of the indexes.
        wanted: Splits that an index of the metadata must include, so that the metadata are not
            read again when they are requested.
    """

    release: Release
    cache: Path
    wanted: frozenset[Split] = frozenset()

    @property
    def root(self) -> Location:
        """The location of the release."""
        return self.release.root

    @property
    def packages(self) -> list[str]:
        """The packages that have archives or folders."""
        return self.release.packages

    def wanting(self, splits: Iterable[Split], *, labels: bool = False) -> Self:
        """The same data, whose next index includes these splits; for labels, all splits."""
        return replace(self, wanted=self.wanted.union(SPLITS if labels else splits))

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that have archives or folders.

        Raises:
            ReleaseNotFound: The configuration has no images.
        """
        package = configuration.package
        if package is None:
            return list(configuration.splits)
        held = self.release.select(package, configuration.splits).splits
        found = [split for split in configuration.splits if split.name in held]
        if not found:
            raise ReleaseNotFound(
                f"this release does not have {configuration.name}", where=str(self.root)
            )
        return found

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """The pieces of one split; an index is made if it is not in the cache.

        Raises:
            MetadataError: The metadata are flawed.
            ArchiveError: An archive is damaged.
            MismatchError: A specimen has no image, or two that differ.
        """
        skip = on_error == "skip"
        index = self._index([split], skip=skip)
        if not index.rows[split.name]:
            return []
        if configuration.package is None:
            plan = plan_metadata(index, split, self.cache)
            return _pieces(plan, (), (), image=False, skip=skip)
        selection = self._selection(configuration, split)
        plan = plan_images(
            index,
            selection,
            split,
            self.cache,
            skip=skip,
            in_archive_order=any(isinstance(a.path, RemotePath) for a in selection.archives),
        )
        sources = (*(a.path for a in selection.archives), *(f.path for f in selection.folders))
        labels = tuple(source_labels(selection))
        return _pieces(plan, sources, labels, image=True, skip=skip)

    def _selection(self, configuration: Configuration, split: Split) -> Selection:
        assert configuration.package is not None
        return self.release.select(configuration.package, [split])

    def _index(self, splits: Collection[Split], *, skip: bool) -> MetadataIndex:
        wanted = self.wanted.union(splits)
        return index_metadata(self.release.metadata, self.cache, wanted, skip=skip)

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank, counted once and stored in the cache.

        Raises:
            UnknownName: There is no such rank.
            MetadataError: The metadata are flawed.
        """
        check_rank(rank)
        path = self._index(SPLITS, skip=on_error == "skip").vocabularies()
        return from_parquet(read_whole(path, VOCABULARIES_BYTES), rank, str(path))

    def records(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of the records of all splits, in the order of the metadata file."""
        return self._index(SPLITS, skip=False).records(columns)

    def digest(self, configuration: Configuration, split: Split) -> str:
        """The digest of the content of one split."""
        metadata = self.release.metadata
        parts = [split.name, metadata.member or "", file_identity(metadata.path)]
        if configuration.package is not None:
            parts.append(selection_identity(self._selection(configuration, split)))
        return digest_of(*parts)


def _pieces(
    plan: Plan, sources: tuple[Location, ...], labels: tuple[str, ...], *, image: bool, skip: bool
) -> list[Piece]:
    return [
        RawPiece(plan.path, group, sources, labels, image, skip) for group in range(plan.groups)
    ]
