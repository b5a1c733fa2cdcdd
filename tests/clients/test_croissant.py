"""Croissant's own reader opens ``croissant.json`` of a folder of each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlcroissant
import pytest

Rows = dict[str, list[dict[str, Any]]]


def _processids(folder: Path, name: str) -> list[str]:
    found = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).records(name)
    return [record[f"{name}/processid"].decode() for record in found]


@pytest.mark.parametrize("split", ["validation", "test_unseen"])
@pytest.mark.parametrize("name", ["parquet", "tars"])
def test_records_of_a_folder(
    name: str, split: str, rows: Rows, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(name)
    wanted = [row["processid"] for row in rows[split]]
    assert _processids(folder, f"metadata/{split}") == wanted
    if name == "parquet":
        assert _processids(folder, f"cropped_256/{split}") == wanted


def test_other_formats_are_described(arrow: Path, tars: Path) -> None:
    """It reads neither Arrow nor tars of samples: there are sets of files and no records."""
    for folder, sets in ((arrow, 0), (tars, 8)):
        told = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).metadata
        assert not told.issues.errors
        assert len(told.record_sets) == sets
        assert len(told.file_sets) == 16
