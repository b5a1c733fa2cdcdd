"""Work in other processes, with the results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from conversion.executors.processes import Processes

_Task = TypeVar("_Task")
_Made = TypeVar("_Made")


class Workers(Protocol):
    """What applies a function to tasks."""

    def map(self, function: Callable[[_Task], _Made], tasks: Iterable[_Task]) -> Iterator[_Made]:
        """Yield the results in the order of the tasks."""
        ...


class _Here:
    def map(self, function: Callable[[_Task], _Made], tasks: Iterable[_Task]) -> Iterator[_Made]:
        return map(function, tasks)


def open_workers(count: int) -> AbstractContextManager[Workers]:
    """Start processes; with one worker everything is done in this process.

    Args:
        count: How many processes work.
    """
    return Processes(count) if count > 1 else nullcontext(_Here())
