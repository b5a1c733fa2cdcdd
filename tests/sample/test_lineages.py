import re

import numpy as np
import pytest

from conversion.sample.lineages import lineages


@pytest.mark.parametrize("specimens", [8, 2_000, 300_000])
def test_binomials_are_distinct(specimens: int) -> None:
    named = [species for species in lineages(0, specimens).species if species]
    assert len(set(named)) == len(named)


def test_bin_codes_are_bolds() -> None:
    lines = lineages(0, 2_000)
    codes = lines.bin_codes(np.arange(len(lines.genus)))
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"BOLD:A[A-Z]{2}\d{4}", code) for code in codes)
