"""Rows as JSON text, a column at a time: no Python object is made for a value."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# What JSON does not allow within a string as it is (RFC 8259, section 7): these, and all below the
# blank.
_ESCAPED: Final = tuple(b'"\\')
_FIRST_PLAIN: Final = 0x20


def json_rows(rows: pa.RecordBatch) -> pa.StringArray:
    """Write each row as one JSON object.

    Args:
        rows: Columns of strings, integers and finite floats.

    Returns:
        The objects, with the columns in their order; numbers are numbers, a missing value is
        null, text is UTF-8 and not escaped where it need not be.
    """
    pieces: list[pa.Array | str] = []
    # The fixed text since the last value, joined to what surrounds the next one.
    fixed = "{"
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        fixed += f"{json.dumps(name)}: "
        values, quote = _values(column)
        pieces += [fixed + quote, values]
        fixed = f"{quote}, "
    return pc.binary_join_element_wise(*pieces, f"{fixed[:-2]}}}", "")


def _values(column: pa.Array) -> tuple[pa.StringArray, str]:
    """The values as JSON writes them, and the quotation mark that still has to surround them."""
    if not pa.types.is_string(column.type):
        return pc.fill_null(column.cast(pa.string()), "null"), ""
    if _needs_escape(column):
        escaped = [json.dumps(value, ensure_ascii=False) for value in column.to_pylist()]
        return pa.array(escaped, pa.string()), ""
    if not column.null_count:
        return column, '"'
    return pc.fill_null(pc.binary_join_element_wise('"', column, '"', ""), "null"), ""


def _needs_escape(column: pa.StringArray) -> bool:
    _, offsets, data = column.buffers()
    if data is None:
        return False
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    # Bytes of what is missing may stand between the values; at worst they are escaped for nothing.
    text = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    if not text.size:
        return False
    return bool(text.min() < _FIRST_PLAIN or any((text == sign).any() for sign in _ESCAPED))
