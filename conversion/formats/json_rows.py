"""Write rows as JSON text, one column at a time, without making Python objects for values."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# In a JSON string, these two characters and all below the space must be escaped (RFC 8259, section
# 7). The backslash comes first, because it also escapes the other one.
_ESCAPED: Final = ("\\", '"')
_FIRST_PLAIN: Final = 0x20
_MISSING: Final = "null"


def json_rows(rows: pa.RecordBatch) -> pa.StringArray:
    """Write each row as one JSON object.

    Returns:
        The objects, with the columns in their order. A missing value is null, text is UTF-8 with
        only the necessary escapes, and there is no whitespace between tokens.
    """
    pieces: list[pa.Array | str] = []
    # The fixed text between the previous value and the next one.
    fixed = "{"
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        fixed += f"{json.dumps(name)}:"
        if column.null_count == len(column):
            fixed += f"{_MISSING},"
            continue
        values, quote = _values(column)
        pieces += [fixed + quote, values]
        fixed = f"{quote},"
    fixed = f"{fixed[:-1]}}}"
    if not pieces:
        return pa.array([fixed] * rows.num_rows, pa.string())
    return pc.binary_join_element_wise(
        *pieces, fixed, "", null_handling="replace", null_replacement=_MISSING
    )


def _values(column: pa.Array) -> tuple[pa.StringArray, str]:
    """Return the values as JSON text, and the quotation mark that still has to surround them.

    Missing values stay missing.
    """
    if not pa.types.is_string(column.type):
        return column.cast(pa.string()), ""
    letters = _letters(column)
    if letters.size and letters.min() < _FIRST_PLAIN:
        # Control characters are rare, and each has its own escape, so Python's library is used.
        texts = column.to_pylist()
        named = [None if text is None else json.dumps(text, ensure_ascii=False) for text in texts]
        return pa.array(named, pa.string()), ""
    for sign in _ESCAPED:
        if (letters == ord(sign)).any():
            column = pc.replace_substring(column, sign, f"\\{sign}")
    if not column.null_count:
        return column, '"'
    return pc.binary_join_element_wise('"', column, '"', ""), ""


def _letters(column: pa.StringArray) -> npt.NDArray[np.uint8]:
    """The bytes of all values; there may also be bytes in place of missing values."""
    _, offsets, data = column.buffers()
    if data is None:
        return np.empty(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
