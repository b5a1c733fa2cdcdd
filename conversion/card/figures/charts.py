"""Draw the taxonomic profile, the lengths of barcodes and the sizes of organisms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from conversion.card.figures.canvas import (
    FAINT,
    FIRST,
    INK,
    LINE,
    SECOND,
    Canvas,
    Color,
    fit,
    fit_size,
    short_count,
)
from conversion.card.statistics import BARCODE_STEP, BARCODE_TOP, SIZE_STEPS, Profile

_WIDTH: Final = 1600
_ROW: Final = 42
_TOP: Final = 150
_LABEL: Final = 21


def taxonomy(found: Profile) -> bytes:
    """Draw the number of specimens of each order, and the share of labelled specimens per rank.

    Returns:
        A PNG.
    """
    orders = list(found.orders)
    others, rest = found.other_orders
    if others:
        orders.append((f"{others} other orders", rest))
    if unknown := found.specimens - sum(count for _, count in orders):
        orders.append(("order not known", unknown))
    rows = max(len(orders), len(found.ranks))
    height = _TOP + rows * _ROW + 60
    canvas = Canvas(_WIDTH, height, "Taxonomic profile", f"{found.specimens:,} specimens")

    canvas.text((40, 96), "Specimens of each order (logarithmic)", _LABEL, FAINT)
    most = max((count for _, count in orders), default=1)
    largest = math.log10(most + 1)
    bottom = _TOP + len(orders) * _ROW
    for power in range(len(str(most))):
        across = 266 + 440 * math.log10(10**power + 1) / largest
        canvas.line((across, _TOP - 4, across, bottom))
        canvas.text((across, bottom + 6), short_count(10**power), 18, FAINT, "ma")
    for number, (name, count) in enumerate(orders):
        top = _TOP + number * _ROW
        known = number < len(found.orders)
        size = fit_size(name, _LABEL, 205)
        canvas.text((250, top + 16), fit(name, size, 205), size, INK, "rm")
        right = 266 + 440 * math.log10(count + 1) / largest
        canvas.bar((266, top + 3, right, top + _ROW - 11), FIRST if known else FAINT)
        canvas.text((right + 10, top + 16), f"{count:,}", _LABEL, INK, "lm")

    canvas.text((890, 96), "Labelled specimens and number of taxa at each rank", _LABEL, FAINT)
    for number, rank in enumerate(found.ranks):
        top = _TOP + number * _ROW
        share = rank.labelled / found.specimens if found.specimens else 0
        canvas.text((1020, top + 16), _RANK_NAMES.get(rank.rank, rank.rank), _LABEL, INK, "rm")
        canvas.bar((1036, top + 3, 1316, top + _ROW - 11), LINE)
        canvas.bar((1036, top + 3, 1036 + 280 * share, top + _ROW - 11), SECOND)
        canvas.text((1426, top + 16), _percent(share), _LABEL, INK, "rm")
        canvas.text((1560, top + 16), f"{rank.taxa:,}", _LABEL, FAINT, "rm")
    canvas.text((1560, 130), "taxa", 18, FAINT, "rm")
    return canvas.png()


_RANK_NAMES: Final = {"dna_bin": "BIN"}


def _percent(share: float) -> str:
    """Format a share in per cent; only an exact 0 or 1 is shown as 0 % or 100 %."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace("%", " %")


@dataclass(frozen=True, slots=True)
class _Histogram:
    title: str
    edges: Sequence[float]  # the edges of the bars; one more than there are bars
    counts: Sequence[int]
    ticks: Sequence[tuple[float, str]]
    color: Color


def measures(found: Profile) -> bytes:
    """Draw histograms of barcode lengths, and of organism sizes in pixels.

    Returns:
        A PNG.
    """
    barcodes, with_barcode = found.barcodes
    note = f"{with_barcode:,} specimens with a barcode, {barcodes:,} different barcodes"
    canvas = Canvas(_WIDTH, 560, "Barcodes and sizes", note)
    _draw_histogram(canvas, 110, _barcode_lengths(found))
    _draw_histogram(canvas, 900, _sizes(found))
    return canvas.png()


def _barcode_lengths(found: Profile) -> _Histogram:
    lengths = found.barcode_lengths
    # The axis begins at 400 unless there are shorter barcodes; nearly all have about 650 bases.
    first = min([*lengths, 400])
    last = max([*lengths, 800])
    starts = range(first, last + 1, BARCODE_STEP)
    ticks = [
        (start, f"{start}+" if start == BARCODE_TOP else str(start))
        for start in starts
        if start % 200 == 0
    ]
    return _Histogram(
        "Length of the DNA barcode (bases)",
        [*starts, last + BARCODE_STEP],
        [lengths.get(start, 0) for start in starts],
        ticks,
        FIRST,
    )


def _sizes(found: Profile) -> _Histogram:
    sizes = found.sizes or {0: 0}
    # The axis ends at whole powers of ten, which have labels.
    first = min(sizes) // SIZE_STEPS * SIZE_STEPS
    last = -(-(max(sizes) + 1) // SIZE_STEPS) * SIZE_STEPS
    steps = range(first, last)
    powers = range(first // SIZE_STEPS, last // SIZE_STEPS + 1)
    return _Histogram(
        "Size of the organism (pixels of the original, logarithmic)",
        [*steps, last],
        [sizes.get(step, 0) for step in steps],
        [(power * SIZE_STEPS, short_count(10**power)) for power in powers],
        SECOND,
    )


def _draw_histogram(canvas: Canvas, left: int, histogram: _Histogram) -> None:
    width, top, bottom = 650, 150, 490
    canvas.text((left - 70, 96), histogram.title, _LABEL, FAINT)
    step = _round_step(max([*histogram.counts, 1]))
    most = -(-max([*histogram.counts, 1]) // step) * step
    for value in range(0, most + 1, step):
        height = bottom - (bottom - top) * value / most
        canvas.line((left, height, left + width, height))
        canvas.text((left - 12, height), short_count(value), 19, FAINT, "rm")
    span = histogram.edges[-1] - histogram.edges[0]

    def across(edge: float) -> float:
        return left + width * (edge - histogram.edges[0]) / span

    for start, stop, count in zip(
        histogram.edges[:-1], histogram.edges[1:], histogram.counts, strict=True
    ):
        # Even the smallest count has a visible bar.
        height = max((bottom - top) * count / most, 2) if count else 0
        canvas.bar((across(start), bottom - height, across(stop) - 1, bottom), histogram.color)
    canvas.line((left, bottom, left + width, bottom), FAINT)
    for edge, label in histogram.ticks:
        canvas.line((across(edge), bottom, across(edge), bottom + 8), FAINT)
        canvas.text((across(edge), bottom + 14), label, 19, FAINT, "ma")


def _round_step(most: int) -> int:
    """Choose a round distance between the lines of an axis, with at most five lines."""
    power: int = 10 ** (len(str(most)) - 1)
    return next(
        step
        for step in (max(power // 5, 1), max(power // 2, 1), power, 2 * power)
        if most <= 5 * step
    )
