"""Work in other processes, with the results in order."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeVar

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_AHEAD: Final = 2  # tasks that wait for each process; more would pile up results


class Workers:
    """A pool of processes; with one worker everything is done in this process.

    Args:
        count: How many processes work.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._count > 1:
            # Forking a process that has threads, as Arrow's and DuckDB's, can hang the child.
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPoolExecutor(self._count, mp_context=context)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def ordered(
        self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]
    ) -> Iterator[_Result]:
        """Apply a function to tasks, holding few of the results at a time.

        Args:
            function: A function that other processes can import.
            tasks: What to apply it to.

        Yields:
            The results, in the order of the tasks.
        """
        if self._pool is None:
            yield from map(function, tasks)
            return
        waiting: deque[Future[_Result]] = deque()
        for task in tasks:
            waiting.append(self._pool.submit(function, task))
            if len(waiting) > self._count * _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
