"""``load_dataset``: the data under the names that people use, from wherever it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import DEFAULT_PACKAGE, Configuration, configuration_named
from bioscan5m_hf.schema.split_expressions import Term, parse_split

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    from bioscan5m_hf.data import Data

OURS: Final = (
    "columns",
    "where",
    "class_labels",
    "max_nucleotides",
    "unique_barcodes",
    "on_error",
)
"""Options that ``datasets.load_dataset`` does not have."""

THEIRS: Final = (
    "data_dir",
    "cache_dir",
    "features",
    "download_config",
    "download_mode",
    "verification_mode",
    "keep_in_memory",
    "save_infos",
    "revision",
    "token",
    "num_proc",
    "storage_options",
)
"""Options of ``datasets.load_dataset`` that mean the same here."""


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: None = ...,
    streaming: Literal[False] = ...,
    **options: Any,
) -> DatasetDict: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: None = ...,
    *,
    streaming: Literal[True],
    **options: Any,
) -> IterableDatasetDict: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    *,
    split: str,
    streaming: Literal[False] = ...,
    **options: Any,
) -> Dataset: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    *,
    split: str,
    streaming: Literal[True],
    **options: Any,
) -> IterableDataset: ...


@overload
def load_dataset(
    path: str | os.PathLike[str] = ...,
    name: str | None = ...,
    split: str | Sequence[str] | None = ...,
    streaming: bool = ...,
    **options: Any,
) -> Any: ...


def load_dataset(
    path: str | os.PathLike[str] = "bioscan-5m",
    name: str | None = DEFAULT_PACKAGE,
    split: str | Sequence[str] | None = None,
    streaming: bool = False,
    **options: Any,
) -> Any:
    """Load BIOSCAN-5M, converted or raw, local or remote, prepared or streamed.

        ds = load_dataset("bioscan-5m", "cropped_256", split="train", streaming=True)
        ds = load_dataset("release/", "original_256", split="seen", class_labels=["species"])
        ds = load_dataset("user/bioscan-5m", where=[("order", "==", "Diptera")])

    Args:
        path: A dataset folder of any format, the folder of a raw release, a repository of the Hub
            of either kind, or the URL of either. ``"bioscan-5m"`` is a folder of that name here,
            else what the environment variable ``BIOSCAN5M_PATH`` names.
        name: The configuration: ``original_full`` (or ``original``), ``cropped``,
            ``original_256``, ``cropped_256``, each also with ``_pretrain``, ``_train`` and
            ``_eval``; another size that the folder has, such as ``cropped_128``; or ``metadata``,
            which has no images.
        split: One split, or several joined by ``+``: ``pretrain``, ``train``, ``validation`` (or
            ``val``), ``test``, ``val_unseen``, ``test_unseen``, ``key_unseen``,
            ``other_heldout``, ``seen`` (train, val, test), ``unseen`` (key_unseen, val_unseen,
            test_unseen), ``all``. Without streaming also slices such as ``train[:10%]``. A list
            gives a list. By default every split, as a dictionary.
        streaming: Read while iterating, and write nothing.
        **options: Those of ``datasets.load_dataset`` (``cache_dir``, ``num_proc``, ``revision``,
            ``token``, ``storage_options``, …), and:

            ``columns``: the columns that are wanted.
            ``where``: the rows that are wanted, as Parquet filters or as a ``pyarrow`` expression.
            ``class_labels``: ranks whose columns become ``ClassLabel``, -1 where there is none.
            ``max_nucleotides``: cut barcodes there; they are whole by default.
            ``unique_barcodes``: one specimen for each barcode, after cutting and after stripping
            N at the end, among all rows that are loaded; the first in order of md5(processid).
            ``on_error``: ``"stop"`` (the default) or ``"skip"`` where a raw release lacks an
            image or has a flawed one.

    Returns:
        What ``datasets.load_dataset`` returns: a ``Dataset`` or, streaming, an
        ``IterableDataset``; a dictionary of them where no split is named.

    Raises:
        UnknownName: A configuration, split, column, rank or option that does not exist; the
            message lists those that do.
        ReleaseNotFound: There is no data there.
        DataError: The data are damaged.
    """
    _check_options(options)
    data = _open(path, options)
    configuration = configuration_named(name or DEFAULT_PACKAGE, data.packages)
    loader = _Loader(data, configuration, streaming, options)
    if split is None:
        return loader.dictionary()
    if isinstance(split, list | tuple):
        return [loader.one(str(each)) for each in split]
    return loader.one(str(split))


def _check_options(options: Mapping[str, Any]) -> None:
    if "data_files" in options:
        raise UsageError(
            "data_files= is not an option here", fix="name splits, or use where= and columns="
        )
    for name in options:
        if name not in OURS and name not in THEIRS:
            raise UnknownName.of("option", name, (*OURS, *THEIRS))


def _open(path: str | os.PathLike[str], options: Mapping[str, Any]) -> Data:
    from bioscan5m_hf.opening import open_data

    below = options.get("data_dir")
    where = os.fspath(path) if below is None else f"{os.fspath(path).rstrip('/')}/{below}"
    return open_data(
        where,
        revision=options.get("revision"),
        options=storage_options(where, options),
        cache_dir=options.get("cache_dir"),
    )


def storage_options(path: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a remote file system is opened with.

    Args:
        path: What is opened.
        options: Those of ``load_dataset``.
    """
    given = options.get("download_config")
    storage = dict(getattr(given, "storage_options", None) or {})
    storage |= options.get("storage_options") or {}
    token = options.get("token", getattr(given, "token", None))
    # It is the Hub's, and no other server is told it. What is no URL may name a repository.
    is_hub = "://" not in path or path.startswith("hf://")
    return {**storage, "token": token} if is_hub and token is not None else storage


class _Loader:
    """Loads splits of one configuration, each prepared in a cache of its own."""

    def __init__(
        self, data: Data, configuration: Configuration, streaming: bool, options: Mapping[str, Any]
    ) -> None:
        self._data = data
        self._configuration = configuration
        self._streaming = streaming
        self._options = options
        self._available = data.splits(configuration)

    def dictionary(self) -> DatasetDict | IterableDatasetDict:
        import datasets

        made = {s.published: self._load([Term(s)], s.published) for s in self._available}
        kind = datasets.IterableDatasetDict if self._streaming else datasets.DatasetDict
        return kind(made)

    def one(self, expression: str) -> Dataset | IterableDataset:
        terms = parse_split(expression, self._configuration, self._available)
        if self._streaming and any(term.slice for term in terms):
            raise UsageError(
                f"the split {expression!r} has a slice, which streaming cannot serve",
                fix="name whole splits and use .take() and .skip(), or load without streaming",
            )
        name = "+".join(term.split.published + term.slice for term in terms)
        return self._load(terms, name)

    def _load(self, terms: Sequence[Term], name: str) -> Dataset | IterableDataset:
        import datasets

        parts = [self._part(term, terms) for term in terms]
        made = parts[0]
        if len(parts) > 1:
            made = datasets.concatenate_datasets(parts, split=datasets.NamedSplit(name))
        features = self._options.get("features")
        return made if features is None else made.cast(features)

    def _part(self, term: Term, terms: Sequence[Term]) -> Dataset | IterableDataset:
        from bioscan5m_hf.builder import Bioscan5M

        builder = Bioscan5M(data=self._data, **self._builder_options(term.split, terms))
        split = term.split.published
        if self._streaming:
            return builder.as_streaming_dataset(split=split)
        options = self._options
        if not options.get("keep_in_memory"):
            mapped = builder.as_mapped_dataset(split + term.slice)
            if mapped is not None:
                return mapped
        builder.download_and_prepare(
            download_mode=options.get("download_mode"),
            verification_mode="all_checks"
            if options.get("save_infos")
            else options.get("verification_mode"),
            num_proc=options.get("num_proc"),
        )
        return builder.as_dataset(
            split=split + term.slice, in_memory=bool(options.get("keep_in_memory"))
        )

    def _builder_options(self, split: Split, terms: Sequence[Term]) -> dict[str, Any]:
        ours = {name: self._options[name] for name in OURS if self._options.get(name) is not None}
        among = [term.split for term in terms] if ours.get("unique_barcodes") else [split]
        return {
            "config_name": self._configuration.name,
            "cache_dir": self._options.get("cache_dir"),
            "splits": [split.published],
            "among": sorted(each.published for each in among) if len(among) > 1 else None,
            **ours,
        }
