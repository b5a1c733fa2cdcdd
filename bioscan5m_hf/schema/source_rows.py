"""Keep the record of the metadata file that each specimen of a dataset folder was read from.

Rows of a folder lie in the order of md5(processid). ``bioscan-dataset`` chooses by the order of the
csv, so that order is kept beside the shards, in four bytes a specimen.
"""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bioscan5m_hf.errors import MetadataError

SOURCE_ROWS_NAME: Final = "source_rows.npy"
"""The file of a dataset folder that holds them, an array of NumPy."""

SOURCE_ROWS_BYTES: Final = 64 << 20
"""How many bytes that file may have; of the whole release it has some twenty megabytes."""

_MOST_RECORDS: Final = 1 << 26

SourceRows = npt.NDArray[np.uint32]


def to_npy(rows: npt.NDArray[Any], records: int) -> bytes:
    """The bytes of the file: the number of records first, then the record of each specimen.

    Args:
        rows: The number of each specimen's record, from 0, in the order of the metadata.
        records: How many records the file of the metadata has.
    """
    sink = io.BytesIO()
    np.save(sink, np.append(np.uint32(records), rows.astype(np.uint32)), allow_pickle=False)
    return sink.getvalue()


def from_npy(data: bytes, specimens: int, where: str) -> tuple[SourceRows, int]:
    """Read the file.

    Returns:
        The number of each specimen's record, from 0, and how many records there are.

    Raises:
        MetadataError: It is damaged, or of other specimens.
    """
    stream = io.BytesIO(data)
    try:
        # Not np.load, which gives a file that claims to be large all the memory that it claims.
        np.lib.format.read_magic(stream)
        shape, _, kind = np.lib.format.read_array_header_1_0(stream)
        if kind != np.uint32 or shape != (specimens + 1,):
            raise ValueError(f"it is not of {specimens:,} specimens")
        held = np.frombuffer(data, np.uint32, offset=stream.tell())
        records, rows = int(held[0]), held[1:]
        numbered = len(np.unique(rows)) == len(rows) == specimens
        if not numbered or records > _MOST_RECORDS or (rows >= records).any():
            raise ValueError("its records are not those of a metadata file")
    except (ValueError, IndexError) as error:
        raise MetadataError(
            f"cannot be read ({error})", where=where, fix="get or make the folder again"
        ) from error
    return rows, records
