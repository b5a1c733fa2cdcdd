"""The vectorized MD5 is that of hashlib, for any text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bioscan5m_hf.schema import md5


@pytest.fixture(params=[0, 3], autouse=True)
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(md5, "_FEW", request.param)
        yield


def _wanted(texts: list[str]) -> list[int]:
    return [int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big") for text in texts]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.text(st.characters(max_codepoint=127)), st.text()), max_size=8))
def test_any_texts(texts: list[str]) -> None:
    texts = [text for text in texts if text.isprintable() or text < "\ud800"]
    assert md5.first_halves(pa.array(texts, pa.string())).tolist() == _wanted(texts)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_each_length_and_slices(kind: pa.DataType) -> None:
    texts = ["x" * length for length in range(140)]
    for start, stop in ((0, 56), (0, 140), (50, 60), (3, 4), (7, 7)):
        found = md5.first_halves(pa.array(texts, kind)[start:stop])
        assert found.tolist() == _wanted(texts[start:stop])
        assert found.dtype == np.uint64
    for text in texts:
        assert md5.first_halves(pa.array([text])).tolist() == _wanted([text])


def test_more_rows_than_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(md5, "_ROWS", 7)
    texts = [f"GMGMB{number:03d}-20" for number in range(100)] + ["Ä", "", "\0", "a\0b"]
    assert md5.first_halves(pa.array(texts)).tolist() == _wanted(texts)
