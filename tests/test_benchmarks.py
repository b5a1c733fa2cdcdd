"""What the benchmarks show of their numbers."""

from __future__ import annotations

import io
import itertools

import numpy as np
from PIL import Image

from conversion.card.figures.canvas import FIRST, SECOND
from tests.benchmarks.chart import LONGEST, Bar, draw
from tests.benchmarks.convert import MEANINGS, OURS, WAYS, chart


def lengths(picture: bytes, color: tuple[int, int, int]) -> list[int]:
    """How long the bars of a color are, from the top."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    rows = (pixels == color).all(axis=2).sum(axis=1)
    changes = [row for before, row in itertools.pairwise(rows) if row != before]
    return [int(row) for row in changes if row]


def test_bars_are_as_long_as_their_values() -> None:
    picture = draw("title", "note", [Bar("a", 4, "4", True), Bar("b", 1, "1", False)])
    assert lengths(picture, FIRST) == [LONGEST]
    assert lengths(picture, SECOND) == [LONGEST // 4]


def test_the_chart_shows_the_median_of_every_way() -> None:
    assert set(MEANINGS) == {*WAYS, *OURS}
    picture = chart({"copy": [9.0, 1.0, 2.0], "parquet": [4.0], "datasets": [8.0, 8.0]}, 100)
    assert lengths(picture, SECOND) == [LONGEST // 4, LONGEST]
    assert lengths(picture, FIRST) == [LONGEST // 2]
