"""Vocabularies are read without threads that could outlive the interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.schema import vocabularies
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.vocabularies import Vocabulary, from_parquet, to_parquet

# Each has a value, so that reading has columns to share among threads.
READ = """
import os
from bioscan5m_hf.schema.columns import RANKS, SPLITS
from bioscan5m_hf.schema.vocabularies import Vocabulary, from_parquet, to_parquet
counts = {split.name: [1] for split in SPLITS}
data = to_parquet([Vocabulary(rank, [rank], counts) for rank in RANKS])
before = os.listdir("/proc/self/task")
print(from_parquet(data, "family", "here").names)
assert os.listdir("/proc/self/task") == before
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no list of threads here")
def test_no_thread_holds_the_bytes_of_a_vocabulary() -> None:
    # One that drops them while the interpreter ends aborts the process.
    done = subprocess.run([sys.executable, "-c", READ], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "['family']\n"), done.stderr


COUNTS = {split.name: np.ones(2, np.int64) for split in SPLITS}
WHOLE = to_parquet([Vocabulary(rank, ["a", "b"], COUNTS) for rank in RANKS])


def _with(column: str, values: list[str | None]) -> bytes:
    """The vocabularies, whose first values of a column are others."""
    table = pq.read_table(pa.BufferReader(WHOLE))
    place = table.column_names.index(column)
    new = [*values, *table[column].to_pylist()[len(values) :]]
    sink = pa.BufferOutputStream()
    pq.write_table(table.set_column(place, column, pa.array(new, pa.string())), sink)
    return bytes(sink.getvalue().to_pybytes())


def _without(column: str) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pq.read_table(pa.BufferReader(WHOLE)).drop_columns([column]), sink)
    return bytes(sink.getvalue().to_pybytes())


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (_without("value"), "it has no column value"),
        (_with("value", ["b"]), "a value occurs twice"),
        (_with("value", ["x" * 1001]), "a value has more than 1,000 bytes"),
        (_with("value", [None]), "a value is missing"),
    ],
)
def test_damaged_vocabularies_are_told(data: bytes, told: str) -> None:
    assert from_parquet(WHOLE, RANKS[0], "here").names == ["a", "b"]
    with pytest.raises(MetadataError, match=f"here: cannot be read as vocabularies .*{told}"):
        from_parquet(data, RANKS[0], "here")


def test_vocabularies_that_would_fill_the_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vocabularies, "_PLAIN_BYTES", 10)
    with pytest.raises(MetadataError, match="bytes when decompressed"):
        from_parquet(WHOLE, RANKS[0], "here")
