"""Read single specimens by their processids, without reading the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bioscan5m_hf.errors import UsageError
from bioscan5m_hf.query.choice import choose_columns
from bioscan5m_hf.schema.columns import features
from bioscan5m_hf.schema.configurations import (
    DEFAULT_PACKAGE,
    METADATA,
    Configuration,
    configuration_named,
)
from bioscan5m_hf.sources.resolve import open_data
from bioscan5m_hf.sources.specimens import read_specimens

if TYPE_CHECKING:
    from datasets import Dataset

    from bioscan5m_hf.sources.base import Data


def get(  # noqa: PLR0913 - a data loader has many options
    path: str | os.PathLike[str],
    processids: str | Iterable[str],
    name: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    storage_options: Mapping[str, Any] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
    """Read the rows of some specimens, whatever their splits.

        rows = get("bioscan-5m", ["GMGMB061-20", "GMNWO2113-21"])
        rows[0]["image"].show()

    Rows of a dataset folder are sorted by md5(processid), so a specimen is found by bisection. In a
    remote folder of Parquet shards, a specimen costs a handful of requests and one page of images,
    whatever the size of the folder. A raw release is indexed by the first call, as in
    ``load_dataset``.

    Args:
        path: The data, as in ``load_dataset``.
        processids: The specimens; one or several.
        name: The configuration, such as ``"original_256"`` or ``"metadata"``. By default
            ``cropped_256``, or the first package of the data.
        columns: The requested columns; all by default.
        revision: A branch, tag or commit of a repository.
        token: A token of the Hub; by default that of the signed-in user.
        storage_options: Options for opening a remote file system.
        cache_dir: The cache in which the index of a raw release is stored.

    Returns:
        One row for each processid, in the given order.

    Raises:
        UnknownName: There is no such specimen, configuration or column.
        ReleaseNotFound: There are no data at ``path``.
        DataError: The data are damaged.
    """
    import datasets

    wanted = [processids] if isinstance(processids, str) else list(processids)
    for each in wanted:
        if not isinstance(each, str):
            raise UsageError(f"a processid is text, not {each!r:.80}")
    data = open_data(
        path, revision=revision, options=storage_options, token=token, cache_dir=cache_dir
    )
    configuration = _configuration(data, name)
    image = configuration.package is not None
    chosen = choose_columns(columns, image=image)
    declared = features(image=image)
    kept = datasets.Features({column: declared[column] for column in chosen})
    if not wanted:
        return datasets.Dataset.from_dict({column: [] for column in chosen}, features=kept)
    table = read_specimens(data, configuration, wanted, chosen).cast(kept.arrow_schema)
    return datasets.Dataset(table, info=datasets.DatasetInfo(features=kept))


def _configuration(data: Data, name: str | None) -> Configuration:
    packages = data.packages
    if name is None:
        name = DEFAULT_PACKAGE
        if name not in packages:
            name = packages[0] if packages else METADATA
    return configuration_named(name, packages)
