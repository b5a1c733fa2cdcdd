"""Sizes in bytes as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.errors import UsageError
from conversion.sizes import parse_size, readable_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("500MB", 500_000_000),
        (" 1.5 gb ", 1_500_000_000),
        ("1GiB", 1 << 30),
        ("0.1kB", 100),
        ("100000", 100_000),
        ("8192TiB", 8192 << 40),
        ("9007199254740993", 9_007_199_254_740_993),
    ],
)
def test_a_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("big", "'big' is not a size; write one such as 500MB or 1GiB"),
        ("500M", "'500M' is not a size"),
        ("-5MB", "'-5MB' is not a size"),
        ("", "'' is not a size"),
        ("٣MB", "'٣MB' is not a size"),
        ("0", "'0' is zero bytes"),
        ("0.0001kB", "'0.0001kB' is zero bytes"),
        ("500", "'500' has no unit and is 500 bytes; write 500MB"),
        ("9" * 400, "9…' is more than any disk holds"),
        ("9" * 5000 + "MB", "9…' is more than any disk holds"),
        ("9999999999TB", "'9999999999TB' is more than any disk holds"),
    ],
)
def test_no_size(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(text)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 120


@given(st.text(max_size=80))
def test_any_text_is_a_size_or_told_of(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert 0 < parse_size(text) < 2**63


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (39_100_000_000, "39.1 GB"),
        (2_000_000_000_000_000, "2,000.0 TB"),
    ],
)
def test_a_size_as_it_is_shown(size: int, text: str) -> None:
    assert readable_size(size) == text
