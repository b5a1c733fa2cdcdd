"""Select the data of a PyTorch dataset: its configuration, splits and unique barcodes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from bioscan5m_hf.errors import ReleaseNotFound, UsageError
from bioscan5m_hf.query.choice import PROCESSID, Choice, Numbers
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.configurations import METADATA, Configuration, configuration_named
from bioscan5m_hf.schema.order import Keys, keys_of
from bioscan5m_hf.schema.source_rows import SOURCE_ROWS_BYTES, SOURCE_ROWS_NAME, from_npy
from bioscan5m_hf.schema.split_expressions import ALL, parse_split
from bioscan5m_hf.sources.base import Data, StoredData
from bioscan5m_hf.sources.raw_release import RawData
from bioscan5m_hf.sources.resolve import open_data
from bioscan5m_hf.storage.open import exists, read_whole

_FOLDER: Final = "bioscan5m"
_BARCODE: Final = "dna_barcode"


def open_root(root: str | os.PathLike[str], options: Mapping[str, Any], *, download: bool) -> Data:
    """Open the data at ``root``, also if bioscan-dataset has put them into a subfolder.

    Args:
        root: A path as in ``load_dataset``, or the ``root`` of bioscan-dataset.
        options: ``revision``, ``options`` (of the storage) and ``cache_dir``.
        download: Whether the error for a missing release explains how to download it.

    Raises:
        ReleaseNotFound: There are no data at ``root``.
    """
    text = os.path.expanduser(os.fspath(root))  # noqa: PTH111 - it may be a URL
    if (Path(text) / _FOLDER).is_dir():
        text = str(Path(text) / _FOLDER)
    try:
        return open_data(text, **options)
    except ReleaseNotFound as error:
        if not download:
            raise
        raise ReleaseNotFound(
            f"{error.found}; a script does not start a download of many gigabytes by itself",
            where=error.where,
            fix=f"get the release first with: bioscan5m download {text}",
        ) from error


def choose(
    data: Data, package: str, expression: str | None, *, image: bool
) -> tuple[Configuration, list[Split]]:
    """The requested configuration and splits; each split occurs once, in upstream's order.

    Args:
        data: The data.
        package: The package of the images.
        expression: Such as ``"seen"`` or ``"pretrain+train"``; ``None`` for all.
        image: Whether images are requested; if not, the metadata configuration is enough.

    Raises:
        UnknownName: There is no such package or split.
        ReleaseNotFound: It has no data.
        UsageError: A split has a slice.
    """
    configuration = configuration_named(package, data.packages)
    if not image:
        plain = configuration_named(METADATA)
        try:
            data.splits(plain)
        except ReleaseNotFound:
            # Without the metadata configuration, the shards with images have the same columns.
            plain = configuration
        configuration = plain
    available = data.splits(configuration)
    wanted: set[str] = set()
    for part in (ALL if expression is None else expression).split("+"):
        terms = parse_split(part, configuration, available)
        if any(term.slice for term in terms):
            raise UsageError(
                f"the split {part!r} has a slice", fix="use torch.utils.data.Subset for a part"
            )
        wanted.update(term.split.name for term in terms)
    return configuration, [split for split in SPLITS if split.name in wanted]


def first_of_each_barcode(data: Data, max_nucleotides: int | None) -> Keys:
    """Choose one specimen for each barcode among the records of all splits.

    The choice is that of bioscan-dataset, which shuffles the rows of the csv with the seed 0 and
    keeps the first of each barcode. For this, a dataset folder stores the row of the csv of each
    specimen beside its shards. For a folder without that file, the first in the order of
    md5(processid) is chosen. For a folder with a selection of specimens, it is the first that the
    folder has. Records without a barcode count as one barcode.

    Args:
        data: The data.
        max_nucleotides: The length to which barcodes are cut before they are compared; ``None`` to
            compare whole barcodes.

    Returns:
        The sorted keys of the specimens, as from ``keys_of``.
    """
    table = _records(data)
    keys = keys_of(table[PROCESSID])
    order = _order(data, keys)
    digests = b"".join(_digest(text, max_nucleotides) for text in table[_BARCODE].to_pylist())
    halves = np.frombuffer(digests, np.uint64).reshape(-1, 2)[order]
    frame = pd.DataFrame({"high": halves[:, 0], "low": halves[:, 1]})
    kept = ~frame.duplicated().to_numpy()
    return np.sort(keys[order[kept]])


def _order(data: Data, keys: Keys) -> Numbers:
    """The order of the records in which the first of each barcode is chosen."""
    rows, records = np.arange(len(keys), dtype=np.uint32), len(keys)
    if isinstance(data, StoredData):
        path = data.root / SOURCE_ROWS_NAME
        if not exists(path):
            return np.argsort(keys)
        rows, records = from_npy(read_whole(path, SOURCE_ROWS_BYTES), len(keys), str(path))
    shuffled = pd.Series(np.arange(records)).sample(frac=1, random_state=0).to_numpy()
    turn = np.empty(records, np.int64)
    turn[shuffled] = np.arange(records)
    return np.argsort(turn[rows])


def _digest(barcode: str | None, length: int | None) -> bytes:
    text = "missing" if barcode is None else barcode[:length].rstrip("N")
    return hashlib.md5(text.encode(), usedforsecurity=False).digest()


def _records(data: Data) -> pa.Table:
    names = (PROCESSID, _BARCODE)
    if isinstance(data, RawData):
        return data.records(names)
    configuration = configuration_named(METADATA)
    tables = [
        table
        for split in data.splits(configuration)
        for piece in data.pieces(configuration, split)
        for table in piece.read(Choice(names))
    ]
    return pa.concat_tables(tables)
