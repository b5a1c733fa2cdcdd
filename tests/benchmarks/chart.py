"""A bar for each of several ways, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from conversion.card.figures.canvas import FAINT, FIRST, INK, SECOND, Canvas, fit

WIDTH, TOP, ROW = 1400, 110, 46
LABELS, LONGEST = 540, 560


class Bar(NamedTuple):
    """One bar."""

    label: str
    value: float
    told: str
    ours: bool


def draw(title: str, note: str, bars: Sequence[Bar]) -> bytes:
    """Draw bars from nought, the longest as wide as there is room, as a PNG."""
    canvas = Canvas(WIDTH, TOP + ROW * len(bars) + 30, title, note)
    most = max(bar.value for bar in bars)
    for number, bar in enumerate(bars):
        top = TOP + number * ROW
        ink = INK if bar.ours else FAINT
        canvas.text((LABELS, top + 17), fit(bar.label, 21, LABELS - 40), 21, ink, "rm")
        right = LABELS + 16 + LONGEST * bar.value / most
        canvas.bar((LABELS + 16, top + 3, right, top + ROW - 11), FIRST if bar.ours else SECOND)
        canvas.text((right + 12, top + 17), bar.told, 21, INK, "lm")
    return canvas.png()
