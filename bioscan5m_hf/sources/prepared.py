"""Record which remote data were prepared, so that they can be loaded again without a network.

When rows of a remote folder have been prepared, a record is written beside the cache of
``datasets``. It has the splits of the folder and the digests by which prepared rows are found.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from bioscan5m_hf.errors import OutOfReach
from bioscan5m_hf.files.lock import alone
from bioscan5m_hf.files.temporary import temporary_folder
from bioscan5m_hf.readers.base import Piece
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.schema.configurations import METADATA, Configuration
from bioscan5m_hf.schema.vocabularies import Vocabulary, check_rank
from bioscan5m_hf.sources.base import Data
from bioscan5m_hf.storage.identity import digest_of
from bioscan5m_hf.storage.path import RemotePath

_log: Final = logging.getLogger("bioscan5m_hf")
_FOLDER: Final = "remote"
_FIX: Final = "load it once while the server can be reached"


@dataclass(frozen=True, slots=True)
class PreparedData(Data):
    """Remote data that cannot be reached; only what was prepared from them is available.

    Attributes:
        at: The location of the data.
        record: The record that ``remember`` wrote.
    """

    at: RemotePath
    record: Mapping[str, Any]

    @property
    def root(self) -> RemotePath:
        """The location of the data."""
        return self.at

    @property
    def packages(self) -> list[str]:
        """The packages whose images the data have."""
        return list(self.record["packages"])

    def splits(self, configuration: Configuration) -> list[Split]:
        """The splits of a configuration that have data.

        Raises:
            OutOfReach: Nothing of the configuration was prepared.
        """
        names = self.record["splits"].get(configuration.package or METADATA)
        if names is None:
            self._lack(configuration.name)
        return [split for split in configuration.splits if split.name in names]

    def pieces(
        self, configuration: Configuration, split: Split, on_error: str = "stop"
    ) -> list[Piece]:
        """Raise an error: rows are found in the cache of ``datasets`` or not at all.

        Raises:
            OutOfReach: Always.
        """
        del on_error
        self._lack(f"{configuration.name}/{split.published}, with these options,")

    def vocabulary(self, rank: str, on_error: str = "stop") -> Vocabulary:
        """The distinct values of a rank, if they were recorded.

        Raises:
            UnknownName: There is no such rank.
            OutOfReach: They were not recorded.
        """
        check_rank(rank)
        found = self.record["vocabularies"].get(f"{rank} {on_error}")
        if found is None:
            self._lack(f"the vocabulary of the {rank}")
        counts = {name: np.array(each, np.int64) for name, each in found["counts"].items()}
        return Vocabulary(rank, found["names"], counts)

    def digest(self, configuration: Configuration, split: Split) -> str:
        """The digest that the split had when it was prepared.

        Raises:
            OutOfReach: It was not prepared.
        """
        key = f"{configuration.package or METADATA} {split.name}"
        found = self.record["digests"].get(key)
        if found is None:
            self._lack(f"{configuration.name}/{split.published}")
        return str(found)

    def _lack(self, what: str) -> NoReturn:
        raise OutOfReach(
            f"the server cannot be reached or offline mode is on, and {what} was not prepared "
            "before",
            where=str(self.at),
            fix=_FIX,
        )


def prepared_of(root: RemotePath, cache: Path) -> PreparedData | None:
    """Read the record of remote data; ``None`` if there is none."""
    try:
        record = json.loads(_path_of(root, cache).read_bytes())
    except (OSError, ValueError):
        return None
    return PreparedData(root, record)


def remember(
    data: Data,
    cache: Path,
    *,
    configuration: Configuration | None = None,
    splits: Iterable[Split] = (),
    vocabularies: Iterable[Vocabulary] = (),
    on_error: str = "stop",
) -> None:
    """Record what was prepared from remote data, so that it can be loaded without a network.

    Args:
        data: The data; nothing is recorded for local data.
        cache: The folder of the records.
        configuration: The configuration that was prepared.
        splits: The splits of it that decided the rows.
        vocabularies: The vocabularies that were read.
        on_error: The option ``on_error`` with which they were read.
    """
    if not isinstance(data.root, RemotePath) or isinstance(data, PreparedData):
        return
    new: dict[str, Any] = {"splits": {}, "digests": {}, "vocabularies": {}}
    if configuration is not None:
        package = configuration.package or METADATA
        new["splits"][package] = [split.name for split in data.splits(configuration)]
        for split in splits:
            new["digests"][f"{package} {split.name}"] = data.digest(configuration, split)
    for each in vocabularies:
        counts = {name: [int(n) for n in found] for name, found in each.counts.items()}
        new["vocabularies"][f"{each.rank} {on_error}"] = {"names": each.names, "counts": counts}
    path = _path_of(data.root, cache)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without the lock, entries that another process adds meanwhile would be lost.
        with alone(path.with_suffix(".lock")), temporary_folder(path.parent) as work:
            file = work / path.name
            file.write_text(json.dumps(_joined(data, prepared_of(data.root, cache), new)), "utf-8")
            file.replace(path)
    except OSError as error:
        # Only a later load without a network needs the record, so its absence is not an error.
        _log.warning(
            "%s: cannot be loaded offline later, because %s cannot be written (%s)",
            data.root,
            path,
            error.strerror,
        )


def _joined(data: Data, known: PreparedData | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """Merge new entries into the record of earlier loads."""
    before = known.record if known else {}
    record = {name: {**before.get(name, {}), **found} for name, found in new.items()}
    for package, names in new["splits"].items():
        held = before.get("splits", {}).get(package, ())
        record["splits"][package] = sorted({*names, *held})
    return {"url": str(data.root), **record, "packages": data.packages}


def _path_of(root: RemotePath, cache: Path) -> Path:
    return cache / _FOLDER / f"{digest_of(root.asked or root.url)}.json"
