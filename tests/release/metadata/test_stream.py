"""The bytes of metadata are UTF-8 exactly where Python says so, however they come in pieces."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.stream import MetadataStream

FILE = MetadataFile(Path("metadata.csv"), "csv")
letters = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.encode)
# Whole letters of every length, pieces of letters, and bytes that no letter has.
texts = st.lists(letters | st.binary(max_size=4), max_size=4).map(b"".join)


def read_in_pieces(data: bytes, sizes: list[int]) -> tuple[bytes, int]:
    stream = MetadataStream(io.BytesIO(data), FILE)
    found = b""
    for size in itertools.cycle(sizes):
        piece = stream.read(size)
        if not piece:
            return found, stream.quotes
        found += piece
    raise AssertionError("a cycle does not end")


@settings(max_examples=1_000)
@given(texts, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_what_is_read_is_what_python_decodes(data: bytes, sizes: list[int]) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        is_text = False
    else:
        is_text = True
    try:
        found, quotes = read_in_pieces(data, sizes)
    except MetadataError as error:
        assert not is_text
        assert "metadata.csv: is not UTF-8 text" in str(error)
    else:
        assert is_text
        assert found == data
        assert quotes == data.count(b'"')
