"""Rows as JSON text, a column at a time: no Python object is made for a value."""

from __future__ import annotations

import json
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

# What JSON does not allow within a string as it is (RFC 8259, section 7).
_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'


def json_rows(rows: pa.RecordBatch) -> pa.StringArray:
    """Write each row as one JSON object.

    Args:
        rows: Columns of strings, integers and finite floats.

    Returns:
        The objects, with the columns in their order; numbers are numbers, a missing value is
        null, text is UTF-8 and not escaped where it need not be.
    """
    pieces: list[pa.Array | str] = []
    opening = "{"
    for name, column in zip(rows.schema.names, rows.columns, strict=True):
        pieces.append(f"{opening}{json.dumps(name)}: ")
        pieces.append(_values(column))
        opening = ", "
    return pc.binary_join_element_wise(*pieces, "}", "")


def _values(column: pa.Array) -> pa.StringArray:
    text = _quote(column) if pa.types.is_string(column.type) else column.cast(pa.string())
    return pc.fill_null(text, "null")


def _quote(column: pa.StringArray) -> pa.StringArray:
    if pc.any(pc.match_substring_regex(column, _NEEDS_ESCAPE), skip_nulls=True).as_py():
        escaped = [
            None if value is None else json.dumps(value, ensure_ascii=False)
            for value in column.to_pylist()
        ]
        return pa.array(escaped, pa.string())
    return pc.binary_join_element_wise('"', column, '"', "")
