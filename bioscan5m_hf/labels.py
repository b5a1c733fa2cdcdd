"""Give the vocabulary of a rank, for local or remote data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from bioscan5m_hf.schema.vocabularies import Vocabulary, check_rank
from bioscan5m_hf.sources.base import check_on_error
from bioscan5m_hf.sources.prepared import remember
from bioscan5m_hf.sources.resolve import index_cache, open_data


def labels(  # noqa: PLR0913 - a data loader has many options
    path: str | os.PathLike[str],
    rank: str,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    on_error: Literal["stop", "skip"] = "stop",
) -> Vocabulary:
    """The distinct values of a rank over all records, whatever their split, in sorted order.

        species = labels("bioscan-5m", "species")
        species.names[17], species.index("Megaselia abdita"), species.counts["train"]

    Indexes are the same as in the package ``bioscan-dataset``, except that the index of a missing
    label is ``None`` here and -1 there.

    Args:
        path: The data, as in ``load_dataset``.
        rank: ``phylum``, ``class``, ``order``, ``family``, ``subfamily``, ``genus``, ``species``
            or ``dna_bin``.
        revision: A branch, tag or commit of a repository.
        token: A token of the Hub; by default that of the signed-in user.
        storage_options: Options for opening a remote file system.
        cache_dir: The cache in which the vocabularies of a raw release are stored.
        on_error: What to do if a record of a raw release does not fit the schema: ``"stop"``, or
            ``"skip"`` it and warn.

    Raises:
        UnknownName: There is no such rank.
        ReleaseNotFound: There are no data at ``path``.
    """
    check_rank(rank)
    check_on_error(on_error)
    data = open_data(
        path, revision=revision, options=storage_options, token=token, cache_dir=cache_dir
    )
    found = data.vocabulary(rank, on_error)
    remember(data, index_cache(cache_dir), vocabularies=[found], on_error=on_error)
    return found
