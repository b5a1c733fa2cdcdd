"""The catalogue: what it says where its input fails, or where it is interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.errors import OutputError
from conversion.catalogue import Catalogue

SCHEMA = pa.schema([pa.field("number", pa.int64())])
BATCH = pa.record_batch([pa.array(range(1000))], schema=SCHEMA)


def test_what_the_batches_raise_is_raised_as_it_is(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        raise OSError("the disk is gone")

    with (
        Catalogue(tmp_path, threads=2) as catalogue,
        pytest.raises(OSError, match="the disk is gone"),
    ):
        catalogue._take("rows", SCHEMA, batches())


def test_an_interruption_is_not_blamed_on_the_batches(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield BATCH
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0.2)
            yield BATCH

    with (
        Catalogue(tmp_path, threads=2) as catalogue,
        # The database makes an error of its own of it, or does not.
        pytest.raises((KeyboardInterrupt, OutputError)),
    ):
        catalogue._take("rows", SCHEMA, batches())
