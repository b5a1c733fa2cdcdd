"""Store the position that each specimen of a dataset folder had in the metadata file.

Rows of a folder are sorted by md5(processid). ``bioscan-dataset`` chooses specimens by the order of
the csv, so that order is stored beside the shards, in four bytes per specimen.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.errors import MetadataError

SOURCE_ROWS_NAME: Final = "source_rows.npy"
"""The file of a dataset folder that holds the positions, as a NumPy array."""

SOURCE_ROWS_BYTES: Final = 64 << 20
"""The largest size of that file in bytes; for the whole release it has some twenty megabytes."""

_MOST_RECORDS: Final = 1 << 26

SourceRows = npt.NDArray[np.uint32]


def to_npy(rows: npt.NDArray[Any], records: int) -> bytes:
    """The bytes of the file: the number of records, then the position of each specimen's record.

    Args:
        rows: The position of each specimen's record in the metadata file, from 0.
        records: How many records the metadata file has.
    """
    sink = io.BytesIO()
    np.save(sink, np.append(np.uint32(records), rows.astype(np.uint32)), allow_pickle=False)
    return sink.getvalue()


def from_npy(data: bytes, specimens: int, where: str) -> tuple[SourceRows, int]:
    """Read the file.

    Returns:
        The position of each specimen's record in the metadata file, from 0, and the number of
        records of that file.

    Raises:
        MetadataError: The file is damaged, or does not have ``specimens`` positions.
    """
    stream = io.BytesIO(data)
    try:
        # np.load would allocate as much memory as the header claims, however little data follow.
        np.lib.format.read_magic(stream)
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        if kind != np.uint32 or shape != (specimens + 1,):
            raise ValueError(f"it does not have one row for each of {specimens:,} specimens")
        held = np.frombuffer(data, np.uint32, offset=stream.tell())
        records, rows = int(held[0]), held[1:]
        numbered = len(np.unique(rows)) == len(rows) == specimens
        if not numbered or records > _MOST_RECORDS or (rows >= records).any():
            raise ValueError("its records are not those of a metadata file")
    except (ValueError, IndexError) as error:
        raise MetadataError(
            f"cannot be read ({error})", where=where, fix="download or make the folder again"
        ) from error
    return rows, records
