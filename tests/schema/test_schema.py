from __future__ import annotations

import csv
from pathlib import Path

import pytest
from datasets import Features

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.schema import columns as schema


@pytest.mark.parametrize("image", [True, False])
def test_arrow_schema_is_what_datasets_makes_of_the_features(image: bool) -> None:
    made = schema.features(image=image).arrow_schema
    ours = schema.arrow_schema(image=image)
    assert ours.equals(made, check_metadata=True)
    assert Features.from_arrow_schema(ours) == schema.features(image=image)


def test_columns_are_upstreams_in_upstreams_order(real: Path) -> None:
    path = real / "BIOSCAN_5M_Insect_Dataset_metadata.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert schema.column_names() == next(csv.reader(file))


def test_every_rank_is_a_column() -> None:
    assert set(schema.RANKS) <= set(schema.column_names())


def test_a_split_has_two_names() -> None:
    assert schema.split_named("val") is schema.split_named("validation")
    assert schema.split_named("validation").name == "val"
    with pytest.raises(UnknownName, match=r"did you mean 'test_unseen'\?.*other_heldout"):
        schema.split_named("test_unsen")


def test_a_header_is_compared_whatever_its_order() -> None:
    names = schema.column_names()
    assert schema.check_columns(reversed(names)) == ([], [], [])
    found = [*names[1:], "extra", "split"]
    assert schema.check_columns(found) == (["processid"], ["extra"], ["split"])
