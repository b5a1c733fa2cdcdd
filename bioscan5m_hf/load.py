"""Load the data with ``datasets``, local or remote, by common names of splits."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE, Configuration, configuration_named
from bioscan5m_hf.schema.split_expressions import Term, parse_split

if TYPE_CHECKING:
    from datasets import (
        Dataset,
        DatasetDict,
        DownloadConfig,
        DownloadMode,
        Features,
        IterableDataset,
        IterableDatasetDict,
        VerificationMode,
    )

    from bioscan5m_hf.query.filters import Where
    from bioscan5m_hf.schema.columns import Split
    from bioscan5m_hf.sources.base import Data


class Options(TypedDict, total=False):
    """The options of ``load_dataset``, for its overloads; defaults are in its signature."""

    columns: Sequence[str] | None
    where: Where | None
    class_labels: Sequence[str] | None
    max_nucleotides: int | None
    unique_barcodes: bool
    on_error: Literal["stop", "skip"]
    data_dir: str | None
    cache_dir: str | os.PathLike[str] | None
    features: Features | None
    download_config: DownloadConfig | None
    download_mode: DownloadMode | str | None
    verification_mode: VerificationMode | str | None
    keep_in_memory: bool | None
    save_infos: bool
    revision: str | None
    token: str | bool | None
    num_proc: int | None
    storage_options: Mapping[str, Any] | None


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: None = ...,
    streaming: Literal[False] = ...,
    **options: Unpack[Options],
) -> DatasetDict: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: None = ...,
    *,
    streaming: Literal[True],
    **options: Unpack[Options],
) -> IterableDatasetDict: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    *,
    split: str,
    streaming: Literal[False] = ...,
    **options: Unpack[Options],
) -> Dataset: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    *,
    split: str,
    streaming: Literal[True],
    **options: Unpack[Options],
) -> IterableDataset: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: str | Sequence[str] | None = ...,
    streaming: bool = ...,
    **options: Unpack[Options],
) -> Any: ...


def load_dataset(  # noqa: PLR0913
    path: str | os.PathLike[str] = "bioscan-5m",
    name: str | None = DEFAULT_PACKAGE,
    split: str | Sequence[str] | None = None,
    streaming: bool = False,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    class_labels: Sequence[str] | None = None,
    max_nucleotides: int | None = None,
    unique_barcodes: bool = False,
    on_error: Literal["stop", "skip"] = "stop",
    data_dir: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    features: Features | None = None,
    download_config: DownloadConfig | None = None,
    download_mode: DownloadMode | str | None = None,
    verification_mode: VerificationMode | str | None = None,
    keep_in_memory: bool | None = None,
    save_infos: bool = False,
    revision: str | None = None,
    token: str | bool | None = None,
    num_proc: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> Any:
    """Load BIOSCAN-5M, converted or raw, local or remote, prepared or streamed.

        ds = load_dataset("bioscan-5m", "cropped_256", split="train", streaming=True)
        ds = load_dataset("release/", "original_256", split="seen", class_labels=["species"])
        ds = load_dataset("user/bioscan-5m", where=[("order", "==", "Diptera")])

    Args:
        path: A dataset folder of any format or the folder of a raw release; or a URL or a
            repository of the Hub with either of them. ``"bioscan-5m"`` is a folder of that name in
            the current folder, else the value of the environment variable ``BIOSCAN5M_PATH``. Data
            that were prepared from a URL before, or that the Hub's cache has as a snapshot, can be
            loaded without a network.
        name: The configuration: ``original_full`` (or ``original``), ``cropped``,
            ``original_256``, ``cropped_256``, each also with ``_pretrain``, ``_train`` or
            ``_eval``; another size that the folder has, such as ``cropped_128``; or ``metadata``,
            which has no images.
        split: One split, or several joined by ``+``: ``pretrain``, ``train``, ``validation`` (or
            ``val``), ``test``, ``val_unseen``, ``test_unseen``, ``key_unseen``,
            ``other_heldout``, ``seen`` (train, val, test), ``unseen`` (key_unseen, val_unseen,
            test_unseen), ``all``. Without streaming, a split may have a slice, such as
            ``train[:10%]``. A list gives a list of datasets. By default every split is loaded, and
            the result is a dictionary.
        streaming: Read while iterating, and write nothing.
        columns: The requested columns; all by default.
        where: A condition on rows, as Parquet filters or as a ``pyarrow`` expression; all rows by
            default.
        class_labels: Ranks whose columns become ``ClassLabel``; a missing label is -1.
        max_nucleotides: The length to which barcodes are cut; by default they stay whole.
        unique_barcodes: Keep one specimen for each barcode among all rows that are loaded: the
            first in the order of md5(processid). Barcodes are compared after cutting them and
            stripping N at the end.
        on_error: What to do if a raw release lacks an image or has a flawed one: ``"stop"``, or
            ``"skip"`` it and warn.
        data_dir: A folder below ``path``.
        cache_dir: The folder for prepared data; the cache of ``datasets`` by default.
        features: The features to which the columns are cast.
        download_config: Its ``token`` and ``storage_options`` are used.
        download_mode: ``"force_redownload"`` prepares data again that were prepared before.
        verification_mode: As in ``datasets.load_dataset``.
        keep_in_memory: Read prepared data into memory instead of memory-mapping them.
        save_infos: Run all checks while preparing.
        revision: A branch, tag or commit of a repository of the Hub.
        token: A token of the Hub; by default that of the signed-in user.
        num_proc: How many processes prepare the data; one by default.
        storage_options: Options for opening a remote file system.

    Returns:
        The same as ``datasets.load_dataset``: a ``Dataset``, or an ``IterableDataset`` when
        streaming; a dictionary of them if no split is named.

    Raises:
        UnknownName: A configuration, split, column or rank does not exist; the message lists the
            valid names.
        ReleaseNotFound: There are no data at ``path``.
        DataError: The data are damaged.
        OutputError: The cache cannot be written to.
    """
    from bioscan5m_hf.sources.resolve import open_data

    data = open_data(
        path if data_dir is None else f"{os.fspath(path).rstrip('/')}/{data_dir}",
        revision=revision,
        options={
            **(getattr(download_config, "storage_options", None) or {}),
            **(storage_options or {}),
        },
        token=getattr(download_config, "token", None) if token is None else token,
        cache_dir=cache_dir,
    )
    loader = _Loader(
        data,
        configuration_named(name or DEFAULT_PACKAGE, data.packages),
        streaming,
        rows={
            "columns": columns,
            "where": where,
            "class_labels": class_labels,
            "max_nucleotides": max_nucleotides,
            "unique_barcodes": unique_barcodes,
            "on_error": on_error,
        },
        prepare={
            "download_mode": download_mode,
            "verification_mode": "all_checks" if save_infos else verification_mode,
            "num_proc": num_proc,
        },
        cache_dir=cache_dir,
        in_memory=bool(keep_in_memory),
        features=features,
    )
    if split is None:
        return loader.dictionary()
    if isinstance(split, list | tuple):
        return loader.several([str(each) for each in split])
    return loader.several([str(split)])[0]


@dataclass(frozen=True, slots=True)
class _Loader:
    """Loads splits of one configuration, each prepared in a cache of its own.

    Attributes:
        data: The data.
        configuration: The configuration.
        streaming: Whether rows are read while iterating.
        rows: The options that decide the content of rows and which rows are loaded.
        prepare: The options for preparing the data.
        cache_dir: The folder for prepared data.
        in_memory: Whether prepared data are read into memory.
        features: The features to which the columns are cast.
    """

    data: Data
    configuration: Configuration
    streaming: bool
    rows: Mapping[str, Any]
    prepare: Mapping[str, Any]
    cache_dir: str | os.PathLike[str] | None
    in_memory: bool
    features: Features | None

    def dictionary(self) -> DatasetDict | IterableDatasetDict:
        import datasets

        available = self.data.splits(self.configuration)
        loader = self._wanting(available)
        made = {s.published: loader._load([Term(s)]) for s in available}
        kind = datasets.IterableDatasetDict if self.streaming else datasets.DatasetDict
        return kind(made)

    def several(self, expressions: Sequence[str]) -> list[Dataset | IterableDataset]:
        wanted = [self._terms(expression) for expression in expressions]
        loader = self._wanting(term.split for terms in wanted for term in terms)
        return [loader._load(terms) for terms in wanted]

    def _wanting(self, splits: Iterable[Split]) -> _Loader:
        return replace(self, data=self.data.wanting(splits))

    def _terms(self, expression: str) -> list[Term]:
        available = self.data.splits(self.configuration)
        terms = parse_split(expression, self.configuration, available)
        if self.streaming and any(term.slice for term in terms):
            raise UsageError(
                f"the split {expression!r} has a slice, which streaming cannot serve",
                fix="name whole splits and use .take() and .skip(), or load without streaming",
            )
        return terms

    def _load(self, terms: Sequence[Term]) -> Dataset | IterableDataset:
        import datasets

        parts = [self._part(term, terms) for term in terms]
        made = parts[0]
        if len(parts) > 1:
            name = "+".join(term.split.published + term.slice for term in terms)
            made = datasets.concatenate_datasets(parts, split=datasets.NamedSplit(name))
        return made if self.features is None else made.cast(self.features)

    def _part(self, term: Term, terms: Sequence[Term]) -> Dataset | IterableDataset:
        from bioscan5m_hf.builder import Bioscan5M

        split = term.split.published
        among = {each.split.published for each in terms} if self.rows["unique_barcodes"] else ()
        options = {
            "data": self.data,
            "config_name": self.configuration.name,
            "splits": [split],
            "among": sorted(among) if len(among) > 1 else None,
            **self.rows,
        }
        if self.streaming:
            # Streaming stores nothing, but datasets needs a folder for its lock, and the cache may
            # be read-only.
            with tempfile.TemporaryDirectory(prefix="bioscan5m-") as folder:
                builder = Bioscan5M(cache_dir=folder, hash="streamed", **options)
            return builder.as_streaming_dataset(split=split)
        builder = Bioscan5M(cache_dir=self.cache_dir, **options)
        if not self.in_memory:
            mapped = builder.as_mapped_dataset(split + term.slice)
            if mapped is not None:
                return mapped
        builder.download_and_prepare(**self.prepare)
        return builder.as_dataset(split=split + term.slice, in_memory=self.in_memory)
