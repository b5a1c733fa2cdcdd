"""A conversion that writes a run for each batch, and is killed or finds the disk full meanwhile.

python -m tests.catalogue.many_runs killed 3 convert …
python -m tests.catalogue.many_runs full 100000 convert …
python -m tests.catalogue.many_runs undisturbed 0 convert …
"""

from __future__ import annotations

import os
import resource
import signal
import sys

import pyarrow as pa

from bioscan5m_hf.catalogue.runs import RunWriter
from bioscan5m_hf.release.metadata import csv
from bioscan5m_hf.schema.order import Keys
from conversion.cli.main import main

BATCH_BYTES = 800_000
"""Of the csv, which is read by four megabytes otherwise; 15,000 specimens would be needed."""


def write_run_for_each_batch(killed_after: int) -> None:
    """Write a run for each batch; a real SIGKILL comes after so many of them, if at all."""
    vars(csv)["_BLOCK_BYTES"] = BATCH_BYTES
    add, write = RunWriter.add, RunWriter._write_run
    written = 0

    def add_one(self: RunWriter, batch: pa.RecordBatch, keys: Keys) -> None:
        add(self, batch, keys)
        self._end_run()

    def write_one(self: RunWriter, held: list[pa.RecordBatch], held_keys: list[Keys]) -> None:
        nonlocal written
        write(self, held, held_keys)
        written += 1
        if written == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    RunWriter.add = add_one  # type: ignore[method-assign]
    RunWriter._write_run = write_one  # type: ignore[method-assign]


if __name__ == "__main__":
    how, number, *words = sys.argv[1:]
    write_run_for_each_batch(int(number) if how == "killed" else 0)
    if how == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), int(number)))
    sys.exit(main(words))
