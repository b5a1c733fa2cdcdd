"""``where=`` against the same condition in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.query.filters import Filter
from tests.reading.conftest import Rows

Test = Callable[[dict[str, Any]], bool]

CASES: list[tuple[Any, Test]] = [
    (("order", "==", "Diptera"), lambda r: r["order"] == "Diptera"),
    ([("order", "=", "Diptera")], lambda r: r["order"] == "Diptera"),
    ([("order", "!=", "Diptera")], lambda r: r["order"] is not None and r["order"] != "Diptera"),
    ([("species", "!=", None)], lambda r: r["species"] is not None),
    ([("species", "==", None)], lambda r: r["species"] is None),
    ([("species", "in", [None])], lambda r: r["species"] is None),
    ([("species", "not in", [])], lambda r: r["species"] is not None),
    (
        [("genus", "in", ["Megaselia", None])],
        lambda r: r["genus"] in ("Megaselia", None),
    ),
    (
        [("order", "not in", {"Diptera", "Hymenoptera"})],
        lambda r: r["order"] not in ("Diptera", "Hymenoptera", None),
    ),
    (
        [[("split", "==", "val")], [("split", "==", "test"), ("coord-lat", "<", 10)]],
        lambda r: (
            r["split"] == "val"
            or (r["split"] == "test" and r["coord-lat"] is not None and r["coord-lat"] < 10)
        ),
    ),
    (
        [("image_measurement_value", ">=", 9000), ("area_fraction", "<=", 0.3)],
        lambda r: (r["image_measurement_value"] or 0) >= 9000 and r["area_fraction"] <= 0.3,
    ),
    (pc.field("inferred_ranks") > 4, lambda r: r["inferred_ranks"] > 4),
    (
        pc.field("order").isin(["Diptera"]) & ~pc.field("species").is_null(),
        lambda r: r["order"] == "Diptera" and r["species"] is not None,
    ),
    ([], lambda _: True),
    (None, lambda _: True),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the index of the zips is kept from one filter to the next."""
    return tmp_path_factory.mktemp("filters")


@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_rows_are_right(
    number: int, forms: Path, truth: dict[str | None, dict[str, Rows]], cache: Path
) -> None:
    where, test = CASES[number]
    rows = [row for split in truth[None].values() for row in split]
    wanted = sorted(row["processid"] for row in rows if test(row))
    for form in ("zips", "parquet", "arrow", "webdataset"):
        ds = load_dataset(
            forms / form, split="all", where=where, columns=["processid", "taxon"], streaming=True,
            cache_dir=cache,
        )  # fmt: skip
        assert sorted(row["processid"] for row in ds) == wanted


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ([("ordre", "==", "Diptera")], "did you mean 'order'"),
        (pc.field("ordre") == "Diptera", "did you mean 'order'"),
        ([("image", "!=", None)], "no column to filter by 'image'"),
        ([("order", "~", "Diptera")], "valid names: ==,"),
        ([("order", "<", None)], "compare None with"),
        ([("order", "in", "Diptera")], "needs a list"),
        ([("coord-lat", "in", ["north"])], "lists values"),
        ([("order", ">", 3)], "does not fit"),
        ([("order", "==", np.datetime64("2020"))], "does not fit"),
        ([("order", "==", ["Diptera"])], "does not fit"),
        ([("order", "==", object())], "a value of the wrong type"),
        ([("image_measurement_value", "<", 10**30)], "values of image_measurement_value are int64"),
        ([("order", "in", np.array("Diptera"))], "needs a list"),
        ([("order", "in", (name for name in ["Diptera"]))], "needs a list"),
        (pc.field("order"), "does not fit"),
        ("order == 'Diptera'", "cannot be read"),
        ([["order", "=="]], "cannot be read"),
        ({"order": "Diptera"}, "cannot be read"),
    ],
)
def test_what_is_no_filter(where: Any, told: str, forms: Path) -> None:
    with pytest.raises(UsageError, match=told):
        load_dataset(forms / "parquet", where=where, streaming=True)


def test_the_columns_that_a_filter_reads() -> None:
    for where, columns in (
        ([("coord-lat", ">", 1), ("species", "==", None)], ("species", "coord-lat")),
        ((pc.field("order") == "a") | (pc.field("chunk") == "0"), ("order", "chunk")),
        (pc.scalar(True), ("processid",)),
    ):
        found = Filter.of(where)
        assert found is not None
        assert found.columns == columns
    found = Filter.of(("processid", "in", ["b", "d"]))
    assert found is not None
    assert found.rows(pa.table({"processid": ["a", "b", "c", "d"]})).tolist() == [1, 3]
    with pytest.raises(UnknownName):
        Filter.of([("", "==", 1)])


def test_two_filters_do_not_share_a_cache(forms: Path, tmp_path: Path) -> None:
    def count(where: Any) -> int:
        return len(load_dataset(forms / "parquet", split="all", where=where, cache_dir=tmp_path))

    names = [f"name {number}" for number in range(50)]
    assert count([("order", "in", [*names, "Diptera"])]) > 0
    # The text of a long list is cut by Arrow in the middle.
    assert count([("order", "in", [*names, "No such"])]) == 0
    assert count(pc.field("order").isin([*names[:25], "Diptera", *names[25:]])) > 0
    assert count(pc.field("order").isin([*names[:25], "No such", *names[25:]])) == 0


DIPTERA: list[Any] = [
    ["Diptera"],
    {"Diptera": 1}.keys(),
    np.array(["Diptera"]),
    pd.Series(["x", "Diptera"])[1:],
    pd.Categorical(["Diptera"]),
    pa.array(["Diptera"]),
    pa.chunked_array([["Diptera"]]),
]
SAME: list[list[Any]] = [
    [[("order", "in", names)] for names in DIPTERA],
    [("order", "==", name) for name in ("Diptera", np.str_("Diptera"), pa.scalar("Diptera"))],
    [("image_measurement_value", ">", n) for n in (9000, 9000.0, np.int64(9000), np.float32(9000))],
    [("coord-lat", ">", n) for n in (10, 10.0, np.float32(10), np.uint8(10), np.array(10))],
    [("species", "!=", none) for none in (None, float("nan"), np.nan, pd.NA, pd.NaT)],
    [("order", "in", ["Diptera", none]) for none in (None, float("nan"), pd.NA)],
]


@pytest.mark.parametrize("wheres", SAME, ids=lambda wheres: str(wheres[0]))
def test_one_condition_in_many_forms_is_one_prepared_copy(
    wheres: list[Any], forms: Path, tmp_path: Path
) -> None:
    def count(where: Any) -> int:
        options = {"split": "train", "where": where, "cache_dir": tmp_path}
        rows = len(load_dataset(forms / "parquet", **options))
        assert sum(1 for _ in load_dataset(forms / "parquet", streaming=True, **options)) == rows
        return rows

    counts = {count(where) for where in wheres}
    assert len(counts) == 1
    assert counts != {0}
    assert len([*tmp_path.rglob("*.arrow")]) == 1
