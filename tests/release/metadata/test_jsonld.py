"""JSON-LD that is no array of flat objects, or breaks off, or was made to do harm."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.metadata.jsonld_records import read_blocks
from tests.rows import as_csv, as_jsonld, error_of, expected, plain, read, wild_text

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | wild_text
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(wild_text, inner),
    max_leaves=6,
)


def read_objects(stream: io.BytesIO) -> list[list[tuple[str, object]]]:
    """The objects one by one: none has the name that those that are read at once must have."""
    return [
        found
        for found in read_blocks(stream, "m.jsonld", ["no such name"])
        if isinstance(found, list)
    ]


def objects(data: bytes) -> list[list[tuple[str, object]]]:
    return read_objects(io.BytesIO(data))


@settings(max_examples=150)
@given(
    rows=st.lists(st.dictionaries(wild_text, _values, max_size=4), max_size=5),
    indent=st.sampled_from([None, 0, 4]),
    ascii_only=st.booleans(),
)
def test_any_array_of_objects_is_read_as_python_reads_it(
    rows: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    expected = json.loads(data, object_pairs_hook=list, parse_int=str, parse_float=str)
    assert objects(data) == expected


def test_objects_lie_across_what_is_read_at_a_time() -> None:
    rows = [{"text": 'é🦋\\"\n' * 40, "number": str(n)} for n in range(9000)]
    for ascii_only in (False, True):
        data = json.dumps(rows, ensure_ascii=ascii_only).encode()
        assert len(data) > 3 << 20
        assert [dict(pairs) for pairs in objects(data)] == rows


GOOD = as_jsonld([plain(1), plain(2, taxon="a"), plain(3)])


def test_a_file_cut_off_anywhere_is_refused() -> None:
    data = as_jsonld([{"a": "b\u00e9\n", "c": "🦋"}, {"d": "\\"}], ascii_only=True)
    for length in range(len(data)):
        with pytest.raises(MetadataError):
            objects(data[:length])
    assert len(objects(data)) == 2


BROKEN = {
    "nothing": (b"", "not a JSON array"),
    "an object": (b'{"a": "b"}', "not a JSON array"),
    "text": (b'"[]"', "not a JSON array"),
    "lines of objects": (b'{"a": "b"}\n{"a": "b"}\n', "not a JSON array"),
    "an array of text": (b'["a"]', "row 1: found '\"' where a record should stand"),
    "an array of arrays": (b"[[]]", "row 1: found '[' where a record should stand"),
    "a number among objects": (b'[{"a": "b"}, 5]', "row 2: found '5'"),
    "no comma": (b'[{"a": "b"} {"a": "b"}]', "row 1: found '{'"),
    "a comma too much": (b'[{"a": "b"},]', "row 2: found ']'"),
    "a comma first": (b'[,{"a": "b"}]', "row 1: found ','"),
    "only a bracket": (b"[", "row 1: breaks off"),
    "more behind": (b'[{"a": "b"}] {"a": "b"}', "goes on with '{' after the end"),
    "a second array": (b"[][]", "goes on with '[' after the end"),
    "single quotes": (b"[{'a': 'b'}" + b" " * 99 + b"]", "row 1: is not valid JSON"),
    "no value": (b'[{"a": }' + b" " * 99 + b"]", "row 1: is not valid JSON (Expecting value)"),
    "a line end in text": (b'[{"a": "b\n"}' + b" " * 99 + b"]", "row 1: is not valid JSON"),
    "not UTF-8": (GOOD.replace(b'"a"', b'"\xff"'), "not UTF-8"),
    "cut off in a sign": (b'[{"a": "\xc3', "not UTF-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not UTF-8"),
    "a deep array": (b'[{"a": ' + b"[" * 200_000, "row 1: is nested too deep"),
    "deep objects": (b'[{"a": ' * 100_000, "nested too deep"),
    "a deep array of arrays": (b"[" * 1_000_000, "row 1: found '['"),
    "a text of millions": (b'[{"a": "' + b"x" * 20_000_000 + b'"}]', "row 1: is too long"),
    "a text without an end": (b'[{"a": "b' + b"x" * 20_000_000, "row 1: is too long"),
    "white space": (b" " * 5_000_000, "not a JSON array"),
}


@pytest.mark.parametrize(("data", "told"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_array_of_records_is_refused(data: bytes, told: str, tmp_path: Path) -> None:
    with pytest.raises(MetadataError) as caught:
        objects(data)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 300
    assert error_of(tmp_path / "m.jsonld", data, "jsonld", record=True)


def test_an_invalid_object_is_noticed_before_the_rest_is_read() -> None:
    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    stream = Counted(b'[{"a": b}' + b" " * 30_000_000)
    with pytest.raises(MetadataError, match="row 1: is not valid JSON"):
        read_objects(stream)
    assert stream.taken < 3_000_000


ODD = {
    "a number of thousands": (
        {"scale_factor": 9 * 10**3000},
        "unparsable-value",
        "scale_factor is not a number",
    ),
    "a truth": ({"taxon": True}, "unparsable-value", "taxon is not a string: True"),
    "an array": ({"species": ["a"]}, "unparsable-value", "species is not a string: ['a']"),
    "an object": ({"species": {"a": 1}}, "unparsable-value", "species is not a string"),
    "no finite number": ({"taxon": float("inf")}, "unparsable-value", "taxon is not a string"),
    "a processid that is a truth": ({"processid": True}, "unparsable-value", "processid is not"),
    "half a character": ({"taxon": "\ud83e"}, "unparsable-value", "taxon is no text"),
    "half a character in a name": ({"\ud83e": "a"}, "broken-row", "the unknown '\\ud83e'"),
    "another key": ({"colour": "red"}, "broken-row", "has the unknown 'colour'"),
}


@pytest.mark.parametrize(("change", "reason", "told"), ODD.values(), ids=ODD)
def test_an_odd_record_is_an_error_or_is_left_out(
    change: dict[str, Any], reason: str, told: str, tmp_path: Path
) -> None:
    data = as_jsonld([plain(1), {**plain(2), **change}, plain(3)], ascii_only=True)
    message = error_of(tmp_path / "m.jsonld", data, "jsonld")
    assert message.startswith("m.jsonld: row 2")
    assert told in message
    rows, [bad] = read(tmp_path / "m.jsonld", data, "jsonld", record=True)
    assert [row["row"] for row in rows] == [1, 3]
    assert (bad.row, bad.reason) == (2, reason)
    assert bad.split == "train"
    assert bad.processid == ("P2-23" if "processid" not in change else None)


@pytest.mark.parametrize("depth", [5, 300, 600, 900])
def test_a_deep_value_is_told_of_in_a_few_words(depth: int, tmp_path: Path) -> None:
    data = as_jsonld([plain(1), plain(2, taxon="here"), plain(3)])
    data = data.replace(b'"here"', b"[" * depth + b"]" * depth)
    message = error_of(tmp_path / "m.jsonld", data, "jsonld")
    assert message.startswith("m.jsonld: row 2")
    assert len(message) < 300


def test_keys_missing_or_there_twice(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [plain(n) for n in range(1, 5)]
    del rows[1]["taxon"], rows[1]["genus"]
    data = as_jsonld(rows).replace(
        b'"processid": "P4-23",', b'"processid": "P4-23", "taxon": "once more",'
    )
    found, bad = read(tmp_path / "m.jsonld", data, "jsonld", record=True)
    assert [row["processid"] for row in found] == ["P1-23", "P3-23"]
    assert [(b.row, b.reason, b.processid, b.detail) for b in bad] == [
        (2, "broken-row", "P2-23", "lacks 'taxon', lacks 'genus'"),
        (4, "broken-row", "P4-23", "repeats 'taxon'"),
    ]
    assert "row 2 (P2-23): lacks 'taxon'" in error_of(tmp_path / "m.jsonld", data, "jsonld")


def test_the_first_record_decides_whether_the_columns_are_upstreams(tmp_path: Path) -> None:
    other = as_jsonld([{"name": "value"}] * 3)
    for record in (False, True):
        message = error_of(tmp_path / "m.jsonld", other, "jsonld", record=record)
        assert "row 1: its columns are not upstream's: it lacks 'processid'" in message


@pytest.mark.parametrize("value", [None, float("nan")])
def test_null_is_a_missing_value(value: float | None, tmp_path: Path) -> None:
    data = as_jsonld([{**plain(1), "taxon": value, "scale_factor": value}])
    [row], _ = read(tmp_path / "m.jsonld", data, "jsonld")
    assert row["taxon"] is row["scale_factor"] is None


def test_numbers_are_read_as_csv_reads_them(tmp_path: Path) -> None:
    text = plain(1, coord_lat="10.327", index_bioscan_1M_insect="150502.0", inferred_ranks="4")
    text |= {"taxon": "2024", "image_measurement_value": "8605", "scale_factor": "7.5e-1"}
    data = as_jsonld([plain(0), text])
    for value in ("10.327", "150502.0", "4", "2024", "8605", "7.5e-1"):
        data = data.replace(f'"{value}"'.encode(), value.encode())
    found, _ = read(tmp_path / "m.jsonld", data, "jsonld")
    assert found == expected([plain(0), text], first=1)
    csv, _ = read(tmp_path / "m.csv", as_csv([plain(0), text]), "csv")
    assert [{**row, "row": row["row"] - 1} for row in csv] == found
