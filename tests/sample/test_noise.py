import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversion.sample import noise


@given(st.integers(), st.integers(0, 10_000))
def test_a_value_does_not_depend_on_the_block_it_is_drawn_in(seed: int, start: int) -> None:
    whole = noise.bits(seed, "x", np.arange(start, start + 8))
    assert noise.bits(seed, "x", np.arange(start + 5, start + 6))[0] == whole[5]


def test_streams_and_seeds_are_independent() -> None:
    index = np.arange(4_000)
    first = noise.unit(0, "x", index)
    assert first.mean() == pytest.approx(0.5, abs=0.03)
    for other in (noise.unit(0, "y", index), noise.unit(1, "x", index)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.06


@given(st.integers(), st.integers(1, 500))
def test_scattered_is_a_permutation(seed: int, size: int) -> None:
    places = noise.scattered(seed, "x", np.arange(size), size)
    assert sorted(places.tolist()) == list(range(size))
