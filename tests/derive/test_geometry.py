from __future__ import annotations

import csv
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.release.zip_member import Flaw, FlawedImage
from conversion.derive.geometry import Box, check_box, decode_scale, resized

GOOD = Box(1024, 768, 339, 208, 533, 493)


def flaw(box: Box, *size: int, **stated: float | None) -> Flaw:
    given = {"area_fraction": box.area_fraction, "scale_factor": box.scale_factor} | stated
    with pytest.raises(FlawedImage) as caught:
        check_box(
            box,
            (size[0], size[1]) if size else (1024, 768),
            given["area_fraction"],
            given["scale_factor"],
        )
    return caught.value.flaw


def test_the_boxes_of_the_real_records_fit(real: Path) -> None:
    with (real / "BIOSCAN_5M_Insect_bbox.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 8
    for row in rows:
        numbers = [int(row[k]) for k in ("width_original", "height_original")]
        numbers += [int(row[k]) for k in ("x0", "y0", "x1", "y1")]
        stated = float(row["area_fraction"]), float(row["scale_factor"])
        check_box(Box(*numbers), (numbers[0], numbers[1]), *stated)


def test_what_the_metadata_say_may_be_rounded_to_four_decimals_and_no_further() -> None:
    check_box(GOOD, (1024, 768), 0.0703, 0.7578)
    for area, scale in ((0.0704, 0.7578), (0.0702, 0.7578), (0.0703, 0.7579), (0.0703, 0.758)):
        assert flaw(GOOD, area_fraction=area, scale_factor=scale) is Flaw.BOX_MISMATCH


def test_a_half_may_be_rounded_either_way() -> None:
    box = Box(100, 200, 0, 0, 1, 1)
    assert box.area_fraction == 0.00005
    check_box(box, (100, 200), 0.0001, 0.0039)
    check_box(box, (100, 200), 0.0, 0.0039)


@pytest.mark.parametrize("name", ["area_fraction", "scale_factor"])
@pytest.mark.parametrize("value", [None, float("nan")])
def test_metadata_that_say_nothing_prove_nothing(name: str, value: float | None) -> None:
    assert flaw(GOOD, **{name: value}) is Flaw.BOX_MISMATCH


def test_the_size_of_the_original() -> None:
    assert flaw(GOOD, 1024, 767) is Flaw.OTHER_SIZE
    assert flaw(GOOD, 768, 1024) is Flaw.OTHER_SIZE


@pytest.mark.parametrize(
    "edges",
    [
        {"x1": 339},
        {"x1": 300},
        {"y1": 208},
        {"x0": 1024, "x1": 1100},
        {"x0": -50, "x1": 0},
        {"y0": 768, "y1": 800},
        {"y0": -9, "y1": -1},
        {"x0": -4000, "x1": 4000},
    ],
)
def test_boxes_that_cannot_be_right(edges: dict[str, int]) -> None:
    assert flaw(replace(GOOD, **edges)) is Flaw.BAD_BOX


def test_a_box_past_the_border_is_right() -> None:
    box = Box(1024, 768, -20, -10, 300, 780)
    check_box(box, (1024, 768), box.area_fraction, box.scale_factor)
    assert not box.inside
    assert box.clipped() == Box(1024, 768, 0, 0, 300, 768)


def test_sizes_of_upstream() -> None:
    assert resized(1024, 768, 256) == (341, 256)
    assert resized(768, 1024, 256) == (256, 341)
    assert resized(100, 100, 256) == (256, 256)


sides = st.integers(1, 5000)


@given(sides, sides, st.integers(1, 1024))
def test_the_shorter_side_is_exact_and_the_longer_the_nearest(w: int, h: int, short: int) -> None:
    across, down = resized(w, h, short)
    assert min(across, down) == short
    exact = Fraction(max(w, h) * short, min(w, h))
    assert abs(max(across, down) - exact) <= Fraction(1, 2)
    assert (across >= down) == (w >= h) or across == down


@given(sides, sides, st.integers(1, 1024))
def test_no_image_is_shrunk_so_far_that_it_has_to_grow_again(w: int, h: int, short: int) -> None:
    target = resized(w, h, short)
    scale = decode_scale(w, h, target)
    assert scale in (1, 2, 4, 8)
    if scale > 1:
        assert w / scale >= target[0]
        assert h / scale >= target[1]
