"""Rows as JSON text, against ``json``."""

from __future__ import annotations

import json

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from conversion.formats.json_rows import json_rows
from tests.rows import wild_text

texts = st.none() | st.text(st.characters(exclude_categories=["Cs"])) | wild_text
rows = st.lists(
    st.fixed_dictionaries(
        {
            "text": texts,
            'odd "name"\n': texts,
            "number": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "whole": st.none() | st.integers(-(2**63), 2**63 - 1),
            "small": st.none() | st.integers(-128, 127),
        }
    ),
    max_size=8,
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ('odd "name"\n', pa.string()),
        ("number", pa.float64()),
        ("whole", pa.int64()),
        ("small", pa.int8()),
    ]
)


@settings(max_examples=300)
@given(rows)
def test_any_row_is_what_json_reads(rows: list[dict[str, object]]) -> None:
    written = json_rows(pa.RecordBatch.from_pylist(rows, SCHEMA)).to_pylist()
    read = [json.loads(text) for text in written]
    assert read == rows
    for found in read:
        assert list(found) == SCHEMA.names
        assert found["whole"] is None or isinstance(found["whole"], int)
    assert all("\n" not in text for text in written), "an object is one line"


def test_text_is_not_escaped_where_it_need_not_be() -> None:
    batch = pa.RecordBatch.from_pylist([{"name": "Ñandú 蝶"}, {"name": 'a "b" \\ \t'}])
    assert json_rows(batch).to_pylist() == [
        '{"name":"Ñandú 蝶"}',
        '{"name":"a \\"b\\" \\\\ \\t"}',
    ]
