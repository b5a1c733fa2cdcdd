"""Make shards in threads of this process, for ``memory://``, which no other process can see."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

from conversion.executors.base import Pool
from conversion.planning.tasks import ShardTask
from conversion.shards.build import ShardResult, make_shard


class ThreadPool(Pool):
    """Threads of this process."""

    def __init__(self, size: int) -> None:
        self.size = self.workers = size
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="bioscan5m-shard")
        self._images = 0
        self._lock = threading.Lock()

    def submit(self, task: ShardTask) -> Future[ShardResult]:
        """Start one task."""
        return self._executor.submit(make_shard, task, self._count)

    def _count(self, images: int, _bytes: int) -> None:
        with self._lock:
            self._images += images

    def images_done(self) -> int:
        """How many images were finished since the pool began."""
        return self._images

    def stop(self) -> None:
        """Start no more tasks, and wait for the running ones."""
        self._executor.shutdown(cancel_futures=True)
