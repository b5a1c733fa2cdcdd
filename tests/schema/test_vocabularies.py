"""Vocabularies are read without threads that could outlive the interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
