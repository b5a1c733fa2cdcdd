"""JSON-LD objects many at once give what they give one by one, whatever is wrong with them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.metadata.jsonld_records import read_blocks
from tests.rows import NAMES, as_jsonld, plain, read, wild_rows, wild_text

Outcome = tuple[list[dict[str, object]], str]


def one_by_one(data: bytes) -> Outcome:
    """What comes out where no object has the names of those that are read at once."""
    outcome, columns = many_at_once(data, ["no such name"])
    assert columns == 0
    return outcome


def many_at_once(data: bytes, names: list[str]) -> tuple[Outcome, int]:
    """What comes out, and how many objects came as columns."""
    found: list[dict[str, object]] = []
    columns = 0
    try:
        for block in read_blocks(io.BytesIO(data), "m.jsonld", names):
            if isinstance(block, pa.RecordBatch):
                block.validate(full=True)
                assert block.schema.names == names
                found += map(_shown, (list(row.items()) for row in block.to_pylist()))
                columns += block.num_rows
            else:
                found.append(_shown(block))
    except MetadataError as error:
        return (found, str(error)), columns
    return (found, ""), columns


def _shown(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object, its names in any order, but with all values of a repeated one."""
    shown: dict[str, object] = {}
    for name, value in pairs:
        # NaN is not equal to itself; and 1 would be equal to true.
        shown[name] = f"{shown.get(name, '')}{value!r}"
    return shown


_ODD = [
    *(
        b"}",
        b"},",
        b"},\n{",
        b'"},\n    {"',
        b"},\r\n",
        b",",
        b'"',
        b"\\",
        b"\n",
        b"\r",
        b"\0",
        b"\x01",
    ),
    *(b"\\ud83e", b"\\udd97", b"\\ud83e\\udd97", b"\\u0000", b"\\n", b"\\x", b"\xff", b"\xc3\xa9"),
    *(b"null", b"true", b"5", b"NaN", b"[]", b"{}", b"[{},\n{}]", b'"b": "again", ', b" ", b"/*"),
]


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """An array in upstream's layout or a similar one, with some odd bytes in it."""
    names = draw(st.permutations(["a", "b"]))
    rows = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(names, wild_text)), max_size=6))
    indent = draw(st.sampled_from([0, 2, 4, 4]))
    data = json.dumps(rows, indent=indent, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.booleans()):
        data = data.replace(b"\n", b"\r\n")
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 3))
        data = data[:start] + draw(st.sampled_from(_ODD)) + data[end:]
    return data


@settings(max_examples=200, deadline=None)
@given(data=_damaged())
def test_any_array_gives_the_same_objects_and_errors(data: bytes) -> None:
    assert many_at_once(data, ["a", "b"])[0] == one_by_one(data)


ROWS = [{"a": str(n), "b": '},\n    {"\\'} for n in range(9)]
GOOD = json.dumps(ROWS, indent=4).encode()


def changed(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(changed(b'"a": "4"', b'"a": 4'), id="a number"),
        pytest.param(changed(b'"a": "4"', b'"a": null'), id="null"),
        pytest.param(changed(b'"a": "4"', b'"a": true'), id="a truth"),
        pytest.param(changed(b'"a": "4"', b'"a": [\n{},\n{}]'), id="objects in an array"),
        pytest.param(changed(b'"a": "4"', b'"a": {"a": "4"}'), id="an object"),
        pytest.param(changed(b'"a": "4",', b""), id="a name missing"),
        pytest.param(changed(b'"a": "4"', b'"a": "4", "c": ""'), id="a name too many"),
        pytest.param(changed(b'"a": "4"', b'"a": "4", "a": "4"'), id="a name twice"),
        pytest.param(changed(b'"a": "4"', b'"a": "\\ud83e"'), id="half a character"),
        pytest.param(changed(b'"a": "4"', b'"a": "\\udd97"'), id="the other half"),
        pytest.param(changed(b'"a": "4"', b'"a": "},\n    {"'), id="a line end in text"),
        pytest.param(changed(b'"a": "4"', b'"a": "\0"'), id="a null byte in text"),
        pytest.param(changed(b"},\n", b"}\n"), id="a comma missing"),
        pytest.param(changed(b"},\n", b"},,\n"), id="two commas"),
        pytest.param(changed(b"},\n", b"},\n,\n"), id="two commas on two lines"),
        pytest.param(changed(b"},\n", b"},\0\n"), id="a null byte between"),
        pytest.param(changed(b"},\n", b"},\n\xef\xbb\xbf"), id="a byte order mark between"),
        pytest.param(changed(b"},\n", b'},\n"",\n'), id="a text between"),
        pytest.param(changed(b"},\n", b"},\n[],\n"), id="an array between"),
        pytest.param(changed(b"},\n", b"}},\n"), id="a brace too many"),
        pytest.param(changed(b"},\n", b"}\n],\n"), id="the end too early"),
        pytest.param(changed(b'"a": "4",', b'"a": "4"'), id="a comma missing in an object"),
        pytest.param(changed(b'"a": "4"', b'"a": "\xff"'), id="not UTF-8"),
    ],
)
def test_an_odd_object_among_others_is_seen(data: bytes) -> None:
    assert many_at_once(data, ["a", "b"])[0] == one_by_one(data)
    assert many_at_once(data, ["a", "b"])[1] == 0


@pytest.mark.parametrize("indent", [0, 2, 4])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_upstreams_layout_comes_as_columns(indent: int, line_end: bytes) -> None:
    rows = [{"a": f"é🦋{n}", "b": '},\n    {"\\\0' + "x" * 400} for n in range(9000)]
    for ascii_only in (True, False):
        data = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
        data = data.replace(b"\n", line_end)
        assert len(data) > 3 << 20
        outcome, columns = many_at_once(data, ["b", "a"])
        assert outcome == one_by_one(data)
        # The first, the last, and one wherever a piece that was read at a time ends.
        assert len(rows) - 12 < columns < len(rows)


def test_one_odd_object_does_not_slow_down_the_blocks_behind_it() -> None:
    rows: list[dict[str, Any]] = [{"a": str(n), "b": "x" * 400} for n in range(9000)]
    rows[100]["a"] = None
    outcome, columns = many_at_once(json.dumps(rows, indent=4).encode(), ["a", "b"])
    assert len(outcome[0]) == len(rows)
    assert len(rows) - 3500 < columns < len(rows) - 500


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=wild_rows(), data=st.data())
def test_the_layout_does_not_change_the_rows(
    rows: list[dict[str, str]], data: st.DataObject, tmp_path: Path
) -> None:
    odd: list[dict[str, Any]] = [dict(row) for row in rows]
    for row in data.draw(st.lists(st.sampled_from(odd), max_size=2)):
        row[data.draw(st.sampled_from(NAMES))] = data.draw(
            st.sampled_from(["", "north", "a/b", None, 5, "\ud83e"])
        )
    # The first record decides whether the file is upstream's; one line is read one by one.
    odd.insert(0, dict(plain(0)))
    laid_out = read(tmp_path / "m", as_jsonld(odd, ascii_only=True), "jsonld", record=True)
    in_a_line = read(tmp_path / "m", json.dumps(odd).encode(), "jsonld", record=True)
    assert repr(laid_out) == repr(in_a_line)


def test_rows_keep_their_numbers_across_odd_objects(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [plain(n, dna_barcode="ACGT" * 100) for n in range(1, 6001)]
    wrong = {
        7: ("taxon", True),
        3000: ("coord-lat", "x"),
        3001: ("genus", None),
        5999: ("split", ""),
    }
    for number, (name, value) in wrong.items():
        rows[number - 1][name] = value
    found, bad = read(tmp_path / "m", as_jsonld(rows), "jsonld", record=True)
    assert sorted(each.row for each in bad) == [7, 3000, 5999]
    assert [row["row"] for row in found] == [n for n in range(1, 6001) if n not in (7, 3000, 5999)]
    assert all(row["processid"] == f"P{row['row']}-23" for row in found)
