"""Record batches that are made in one thread while another works on those before."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Final, Self

import pyarrow as pa

_DEPTH: Final = 4


class Ahead:
    """Runs an iterator of record batches in a thread, a few batches ahead of its consumer.

    A database that pulls batches reports an exception of their maker as one of its own; here the
    exception is kept, so that it can be raised as what it is.

    Args:
        batches: What to run.

    Attributes:
        failure: What the iterator raised, if it did.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self.failure: BaseException | None = None
        self._batches = batches
        self._queue: queue.Queue[pa.RecordBatch | None] = queue.Queue(_DEPTH)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            for batch in self._batches:
                if not self._offer(batch):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the consumer's thread, by __iter__
            self.failure = error
        finally:
            self._offer(None)

    def _offer(self, batch: pa.RecordBatch | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put(batch, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._queue.get()) is not None:
            yield batch
        if self.failure:
            raise self.failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()
