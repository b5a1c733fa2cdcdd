"""The pool that shards are made in."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from conversion.pools.local import start_all_at_once
from conversion.start import worker_context


def test_the_first_task_starts_every_worker() -> None:
    context = worker_context()
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(3, mp_context=context) as executor:
        start_all_at_once(executor)
        task = executor.submit(os.getpid)
        begun = [child for child in multiprocessing.active_children() if child not in before]
        assert len(begun) == 3
        assert task.result() in {child.pid for child in begun}
