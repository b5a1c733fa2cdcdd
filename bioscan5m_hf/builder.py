"""Build Hugging Face datasets, prepared or streamed, from every kind of data with the same rows."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import datasets
import pyarrow as pa
from datasets.builder import Key
from datasets.exceptions import DatasetGenerationError

from bioscan5m_hf import config
from bioscan5m_hf.config import Bioscan5MConfig
from bioscan5m_hf.errors import BioscanError, UnknownName, UsageError
from bioscan5m_hf.query.choice import Choice, choose_columns, require_list
from bioscan5m_hf.query.filters import Filter, Where, plain_where
from bioscan5m_hf.readers.barcodes import BARCODE, cut, unique_keys
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.readers.mapped import link_all, map_shards
from bioscan5m_hf.schema import upstream
from bioscan5m_hf.schema.columns import RANKS, Split, features, split_named
from bioscan5m_hf.schema.configurations import (
    DEFAULT_PACKAGE,
    PACKAGES,
    Configuration,
    configuration_named,
    configurations,
)
from bioscan5m_hf.schema.split_expressions import parse_split
from bioscan5m_hf.schema.vocabularies import Vocabulary
from bioscan5m_hf.sources.base import Data
from bioscan5m_hf.sources.matching import matching_pieces
from bioscan5m_hf.sources.prepared import remember
from bioscan5m_hf.sources.resolve import index_cache, open_data
from bioscan5m_hf.storage.disk import writing_to_cache
from bioscan5m_hf.storage.identity import digest_of
from bioscan5m_hf.storage.path import RemotePath
from bioscan5m_hf.storage.prefetch import ahead


class Bioscan5M(datasets.ArrowBasedBuilder):  # type: ignore[misc]
    """BIOSCAN-5M from a dataset folder or from a raw release, prepared or streamed.

    A raw release is not unpacked: images are read from the zips while iterating.

        builder = Bioscan5M(config_name="cropped_256_eval", data_dir="release/")
        builder.as_streaming_dataset(split="validation")

    Args:
        config_name: A configuration, ``cropped_256`` by default.
        data_dir: The folder, as a path or URL.
        columns, where, class_labels, max_nucleotides, unique_barcodes, splits, among, on_error: See
            ``Bioscan5MConfig``.
        cache_dir: The cache of ``datasets`` for prepared data.
        token: The token for the Hub.
        storage_options: Options for opening the file system of a URL.
        features: Features to which the rows are cast.
        hash: The identity of the data in the cache; by default a digest of their content.
        data: The data, if they are open already.

    Raises:
        UnknownName: A column, rank or option value does not exist.
        ReleaseNotFound: There are no data in the folder.
    """

    VERSION = config.VERSION
    BUILDER_CONFIG_CLASS = Bioscan5MConfig
    BUILDER_CONFIGS: ClassVar[list[Bioscan5MConfig]] = [
        Bioscan5MConfig(
            name=found.name,
            version=config.VERSION,
            description=next((p.meaning for p in PACKAGES if p.name == found.package), "no images"),
        )
        for found in configurations()
    ]
    DEFAULT_CONFIG_NAME = DEFAULT_PACKAGE

    def __init__(  # noqa: PLR0913 - each is an option of its own, and an editor completes them
        self,
        *,
        config_name: str | None = None,
        data_dir: str | None = None,
        columns: Sequence[str] | None = None,
        where: Where | None = None,
        class_labels: Sequence[str] | None = None,
        max_nucleotides: int | None = None,
        unique_barcodes: bool = False,
        splits: Sequence[str] | None = None,
        among: Sequence[str] | None = None,
        on_error: str = "stop",
        cache_dir: str | os.PathLike[str] | None = None,
        token: bool | str | None = None,
        storage_options: dict[str, Any] | None = None,
        features: datasets.Features | None = None,
        hash: str | None = None,  # noqa: A002 - the name that datasets has for it
        data: Data | None = None,
    ) -> None:
        if data is None and data_dir:
            data = open_data(data_dir, options=storage_options, token=token, cache_dir=cache_dir)
        self._given_data = data
        self._index_cache = index_cache(cache_dir)
        self._choice: Choice | None = None
        self._vocabularies: dict[str, Vocabulary] = {}
        if config_name is not None:
            config_name = self._named_configuration(config_name).name
            if config_name not in self.builder_configs:
                # A resized package of this folder: datasets makes configurations if there are none.
                self.BUILDER_CONFIGS = []  # type: ignore[misc]
        identity = hash
        if data is not None and identity is None:
            named = [*(splits or ()), *(among or ())]
            identity = self._identity(config_name, named, class_labels or (), on_error)
        with writing_to_cache(self._index_cache.parent):
            super().__init__(
                cache_dir=cache_dir,
                dataset_name="bioscan5m",
                config_name=config_name,
                hash=identity,
                features=features,
                token=token,
                data_dir=data_dir,
                storage_options=storage_options,
                columns=columns,
                # datasets copies the value, and not every form of a condition can be copied.
                where=plain_where(where),
                class_labels=class_labels,
                max_nucleotides=max_nucleotides,
                unique_barcodes=unique_barcodes,
                splits=splits,
                among=among,
                on_error=on_error,
            )

    def _identity(
        self,
        config_name: str | None,
        named: Sequence[str],
        class_labels: Sequence[str],
        on_error: str,
    ) -> str:
        """The digest of the data that decide the rows; datasets names its cache by it."""
        configuration = self._named_configuration(config_name or DEFAULT_PACKAGE)
        splits = self._named(named or None, configuration)
        parts = [f"{split.name} {self.data.digest(configuration, split)}" for split in splits]
        # Prepared rows hold numbers of labels, so the names of the labels decide the rows too.
        parts += [
            digest_of(rank, *self.data.vocabulary(rank, on_error).names)
            for rank in sorted(set(RANKS).intersection(class_labels))
        ]
        return digest_of(*parts)

    # --------------------------------------------------------------------- the requested data

    @property
    def configuration(self) -> Configuration:
        """The configuration of this builder."""
        return self._named_configuration(self.config.name)

    def _named_configuration(self, name: str) -> Configuration:
        held = None if self._given_data is None else self._given_data.packages
        return configuration_named(name, held)

    @property
    def data(self) -> Data:
        """The data at ``data_dir``.

        Raises:
            UsageError: No ``data_dir`` was given.
        """
        if self._given_data is None:
            raise UsageError(
                "Bioscan5M needs to know where the data is",
                fix="give data_dir=, a dataset folder or a raw release",
            )
        return self._given_data

    @property
    def served_splits(self) -> list[Split]:
        """The splits of this builder, in upstream's order.

        Raises:
            UnknownName: A requested split does not exist.
            ReleaseNotFound: A requested split has no data.
        """
        return self._named(self.config.splits)

    def _named(
        self, names: Sequence[str] | None, configuration: Configuration | None = None
    ) -> list[Split]:
        configuration = configuration or self.configuration
        available = self.data.splits(configuration)
        if names is None:
            return available
        terms = [t for name in names for t in parse_split(name, configuration, available)]
        return [split for split in available if split in {term.split for term in terms}]

    def _columns(self) -> tuple[str, ...]:
        return choose_columns(self.config.columns, image=self.configuration.package is not None)

    def _ranks(self) -> list[str]:
        """The ranks that become ``ClassLabel``."""
        wanted = self.config.class_labels or []
        require_list("class_labels", wanted)
        for rank in wanted:
            if rank not in RANKS:
                raise UnknownName.of("rank", str(rank), RANKS)
        columns = self._columns()
        return [rank for rank in RANKS if rank in wanted and rank in columns]

    # ------------------------------------------------------------- methods called by datasets

    def _info(self) -> datasets.DatasetInfo:
        self.config.check()
        declared = features(image=self.configuration.package is not None)
        ranks = self._ranks()
        # Names of labels are added at the end; otherwise every prepared file would contain them.
        chosen = {
            name: datasets.Value("int64") if name in ranks else declared[name]
            for name in self._columns()
        }
        return datasets.DatasetInfo(
            description="BIOSCAN-5M: insects with photograph, DNA barcode and taxonomy",
            license=upstream.LICENCE,
            homepage=upstream.HOMEPAGE,
            citation=upstream.CITATION,
            features=datasets.Features(chosen),
        )

    def download_and_prepare(self, *args: Any, **named: Any) -> None:
        """Prepare the rows, and record remote data for loading them again without a network."""
        with writing_to_cache(Path(self.cache_dir)):
            super().download_and_prepare(*args, **named)
        if isinstance(self.data.root, RemotePath):
            self._load_vocabularies()
            names = [*(self.config.splits or ()), *(self.config.among or ())]
            remember(
                self.data,
                self._index_cache,
                configuration=self.configuration,
                splits=self._named(names or None),
                vocabularies=self._vocabularies.values(),
                on_error=self.config.on_error,
            )

    def _split_generators(self, dl_manager: Any) -> list[datasets.SplitGenerator]:
        del dl_manager  # No whole files are downloaded.
        condition = Filter.of(self.config.where)
        served = self.served_splits
        unique = self.config.unique_barcodes
        among = self._named(self.config.among or self.config.splits) if unique else []
        self._given_data = self.data.wanting([*served, *among], labels=bool(self._ranks()))
        self._load_vocabularies()
        pieces = {
            split: matching_pieces(
                self.data, self.configuration, split, condition, self.config.on_error
            )
            for split in served
        }
        keep = None
        if unique:
            every = (piece for split in among for piece in pieces.get(split) or self._pieces(split))
            keep = unique_keys(every, condition, self.config.max_nucleotides)
        self._choice = Choice(self._columns(), condition, keep)
        return [
            datasets.SplitGenerator(name=split.published, gen_kwargs={"pieces": found})
            for split, found in pieces.items()
        ]

    def _pieces(self, split: Split) -> list[Piece]:
        return self.data.pieces(self.configuration, split, self.config.on_error)

    def _load_vocabularies(self) -> None:
        for rank in self._ranks():
            if rank not in self._vocabularies:
                self._vocabularies[rank] = self.data.vocabulary(rank, self.config.on_error)

    def _generate_shards(self, pieces: list[Piece]) -> Iterator[str]:
        yield from map(str, pieces)

    def _generate_more_gen_kwargs(self, pieces: list[Piece]) -> Iterator[dict[str, list[Piece]]]:
        for piece in pieces:
            yield {"pieces": piece.divide()}

    def _generate_tables(self, pieces: list[Piece]) -> Iterator[tuple[Key, pa.Table]]:
        assert self._choice is not None, "_split_generators comes first"
        for number, piece in enumerate(pieces):
            tables = piece.read(self._choice)
            if isinstance(self.data.root, RemotePath):
                tables = ahead(tables)
            for batch, table in enumerate(tables):
                yield Key(number, batch), self._finished(table)

    def _finished(self, table: pa.Table) -> pa.Table:
        """Convert the columns to the declared features."""
        schema = self.info.features.arrow_schema
        columns = []
        for name in schema.names:
            column = table[name]
            if name == BARCODE and self.config.max_nucleotides is not None:
                column = cut(column, self.config.max_nucleotides)
            if name in self._vocabularies:
                column = self._vocabularies[name].encode(column)
            columns.append(column)
        return pa.table(columns, names=schema.names).cast(schema)

    def _prepare_split_single(self, *args: Any, **named: Any) -> Iterator[Any]:
        failure: BioscanError | OSError | MemoryError | None = None
        try:
            yield from super()._prepare_split_single(*args, **named)
        except DatasetGenerationError as error:
            if not isinstance(error.__cause__, BioscanError | OSError | MemoryError):
                raise
            failure = error.__cause__
        if failure is not None:
            raise failure

    # -------------------------------------------------------------------------------- results

    def _as_dataset(self, split: Any = datasets.Split.TRAIN, in_memory: bool = False) -> Any:
        wanted = (
            split
            if isinstance(split, datasets.ReadInstruction)
            else datasets.ReadInstruction.from_spec(str(split))
        )
        rows = {name: found.num_examples for name, found in self.info.splits.items()}
        pieces = wanted.to_absolute(rows)
        if any(piece.to > piece.from_ for piece in pieces):
            made = super()._as_dataset(split=split, in_memory=in_memory)
        else:
            # datasets raises an error for a split without rows.
            info = self.info.copy()
            table = self.info.features.arrow_schema.empty_table()
            made = datasets.Dataset(
                datasets.table.InMemoryTable(table),
                info=info,
                split=datasets.NamedSplit(str(split)),
                fingerprint=self._get_dataset_fingerprint(split),
            )
        return self._labelled(made)

    def as_mapped_dataset(self, split: str) -> datasets.Dataset | None:
        """Open local Arrow shards as a dataset without copying them.

        Args:
            split: The published name of a split, with or without a slice.

        Returns:
            The dataset; ``None`` if the data must be prepared, because they are not local Arrow
            shards or their values must be changed.
        """
        name, bracket, rest = split.partition("[")
        paths = self.data.mappable_files(self.configuration, split_named(name))
        if paths is None or self.config.max_nucleotides is not None:
            return None
        self._split_generators(None)
        assert self._choice is not None
        info = self.info.copy()
        info.features = self._labelled_features(info.features)
        print_ = self._get_dataset_fingerprint(f"mapped {name}")
        # datasets stores results derived from a dataset beside its first file.
        links = link_all(paths, Path(self.cache_dir) / "mapped")
        made = map_shards(links, self._choice, info, self._vocabularies, print_)
        if bracket:
            wanted = datasets.ReadInstruction.from_spec(split).to_absolute({name: made.num_rows})
            made = made.select(range(wanted[0].from_, wanted[0].to))
        return datasets.Dataset(
            made.data,
            info=made.info,
            split=datasets.NamedSplit(name + bracket + rest),
            indices_table=made._indices,
            fingerprint=made._fingerprint,
        )

    def _labelled(self, made: datasets.Dataset) -> datasets.Dataset:
        if not self._ranks():
            return made
        info = made.info.copy()
        info.features = self._labelled_features(info.features)
        return datasets.Dataset(
            made.data, info=info, split=made.split, fingerprint=f"{made._fingerprint}-labelled"
        )

    def _labelled_features(self, plain: datasets.Features) -> datasets.Features:
        self._load_vocabularies()
        labelled = copy.copy(plain)
        for rank in self._ranks():
            labelled[rank] = datasets.ClassLabel(names=self._vocabularies[rank].names)
        return labelled

    def _as_streaming_dataset_single(self, *args: Any, **named: Any) -> Any:
        made = super()._as_streaming_dataset_single(*args, **named)
        if self._ranks():
            made.info.features = self._labelled_features(made.info.features)
        return made
