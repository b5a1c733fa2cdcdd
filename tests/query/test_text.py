"""Conditions written as text mean what they say."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.query.filters import Filter
from bioscan5m_hf.query.text import parse_where
from bioscan5m_hf.schema.columns import arrow_schema


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("order = Diptera", [[("order", "==", "Diptera")]]),
        ("order == 'Diptera'", [[("order", "==", "Diptera")]]),
        ("species = Megaselia abdita", [[("species", "==", "Megaselia abdita")]]),
        ("dna_bin = BOLD:ACW1968", [[("dna_bin", "==", "BOLD:ACW1968")]]),
        (
            "coord-lat > 60 and coord-lon<=-3.5",
            [[("coord-lat", ">", 60.0), ("coord-lon", "<=", -3.5)]],
        ),
        (
            "family in (Cecidomyiidae, Sciaridae)",
            [[("family", "in", ["Cecidomyiidae", "Sciaridae"])]],
        ),
        (
            "country NOT IN ('Costa Rica', South Africa)",
            [[("country", "not in", ["Costa Rica", "South Africa"])]],
        ),
        ("species is missing", [[("species", "==", None)]]),
        (
            "species is not missing or genus = A",
            [[("species", "!=", None)], [("genus", "==", "A")]],
        ),
        (
            "(order = A or order = B) and genus = C",
            [
                [("order", "==", "A"), ("genus", "==", "C")],
                [("order", "==", "B"), ("genus", "==", "C")],
            ],
        ),
        (
            "order = A or order = B and genus = C",
            [[("order", "==", "A")], [("order", "==", "B"), ("genus", "==", "C")]],
        ),
        ('country = "and"', [[("country", "==", "and")]]),
        ("inferred_ranks = 0", [[("inferred_ranks", "==", 0)]]),
    ],
)
def test_meaning(text: str, meaning: list[list[tuple[str, str, object]]]) -> None:
    assert parse_where(text) == meaning


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ends too early"),
        ("order", "ends too early"),
        ("order =", "ends too early"),
        ("order = Diptera family = B", "'= B'"),
        ("order in Diptera", "'Diptera'"),
        ("order in (Diptera", "ends too early"),
        ("coord-lat > north", "not a number"),
        ("order = 'Diptera", '"\'Diptera"'),
        ("order = and", "'and'"),
        ("order is Diptera", "'Diptera'"),
    ],
)
def test_unreadable(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_where(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_column() -> None:
    with pytest.raises(UnknownName, match="ordre"):
        parse_where("ordre = Diptera")


def test_rows() -> None:
    rows = pa.Table.from_pylist(
        [
            {"order": "Diptera", "family": "Sciaridae"},
            {"order": "Diptera", "family": None},
            {"order": None, "family": "Sciaridae"},
        ],
        schema=pa.schema([arrow_schema(image=False).field(name) for name in ("order", "family")]),
    )
    condition = Filter.of(parse_where("order = Diptera and family is missing"))
    assert condition is not None
    assert condition.rows(rows).tolist() == [1]


@given(st.text(max_size=40))
def test_any_text_is_read_or_explained(text: str) -> None:
    try:
        assert parse_where(text)
    except UsageError as error:
        assert str(error)
