"""Start processes: early, without what they will not use, and deaf to signals."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import BaseContext
from pathlib import Path
from types import ModuleType
from typing import Final

from conversion.interruption import SIGNALS

SECOND_RUN: Final = 93
"""The exit code of a worker that ran the script of its parent."""

_PRELOADED: Final = "conversion.executors.preload"
_OBJECTS_TO_SEARCH: Final = 50_000
_THREADS: Final = Path("/proc/self/task")
_JEMALLOC: Final = "JE_ARROW_MALLOC_CONF"
# Which of its pools Arrow takes, and after how many milliseconds that gives memory back. Pages of
# two megabytes are cleared whole, and shards are made in less.
_ARROW_MEMORY: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "mimalloc",
    "MIMALLOC_PURGE_DELAY": "100",
    "MIMALLOC_ALLOW_THP": "0",
}
# What glibc's allocator keeps for itself: the variable, the parameter of mallopt(3), and bytes.
_MEMORY: Final = (
    ("MALLOC_TRIM_THRESHOLD_", -1, 64 << 20),
    ("MALLOC_MMAP_THRESHOLD_", -3, 32 << 20),
)


def may_fork() -> bool:
    """Whether this process has but one thread; a child of another one may hang in a lock."""
    try:
        return len(list(_THREADS.iterdir())) == 1
    except OSError:
        # Another system than Linux, or one that does not tell.
        return False


def worker_context() -> BaseContext:
    """How worker processes are made: forked from a process that has imported what they need.

    They cannot be forked from this one if it has threads, and importing Arrow anew in each of them
    takes a third of a second. That process begins here, so that it imports while the caller does
    something else.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    # It would be begun with the first process, and let this one, and so that, hear Ctrl-C again. By
    # itself it is deaf to all but the end of the terminal; one that is begun anew in place of one
    # that was ended complains of every lock that it does not know.
    with deaf_processes():
        resource_tracker.ensure_running()
    try:
        with deaf_processes():
            forkserver.ensure_running()
    except OSError:
        # It listens on a socket in the folder for temporary files, whose name may be too long.
        return multiprocessing.get_context("spawn")
    return context


@contextmanager
def deaf_processes() -> Iterator[None]:
    """Processes that begin in the block hear no signal that ends a command while they import.

    Ctrl-C and the end of the terminal reach every process of it; only the parent shall answer to
    them, and not before it knows all of its children: it would wait at its end for one that it does
    not know.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_second_run() -> None:
    """End a worker that came to what starts workers while it imports the main module.

    A worker that is not forked from this process imports the script that its parent runs, and does
    all of it once more where that does not stand below ``if __name__ == "__main__":``.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(SECOND_RUN)


def spare_effort() -> None:
    """Keep a process from what costs it time and brings nothing; before it imports anything.

    NumPy's algebra would start a thread for each processor that spins for a tenth of a second, and
    nothing is multiplied here. Of some hundred thousand objects that importing makes none is
    garbage, and they would be searched for it over and over. And memory that is given back to the
    system at once is asked for again with the next block, which costs as much as filling it.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(_OBJECTS_TO_SEARCH, 20, 100)
    if sys.platform != "linux":
        return
    # The pool of glibc copies whatever is made shorter, which took a third of planning.
    for name, value in _ARROW_MEMORY.items():
        os.environ.setdefault(name, value)
    # Another one of Arrow's pools, unused then, starts a thread: no process with one is forked.
    os.environ.setdefault(_JEMALLOC, "background_thread:false")
    libc = ctypes.CDLL(None)
    for name, number, size in _MEMORY:
        # The variable is for processes that begin after this one.
        if os.environ.setdefault(name, str(size)) == str(size) and hasattr(libc, "mallopt"):
            libc.mallopt(number, size)


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas, which takes a quarter of a second in each process.

    Making its first array, pyarrow looks whether there is pandas, so as to know a Series from a
    list; it works as well without, and does not look again. Whoever imports pandas later may do so,
    but Arrow's tables are not turned into pandas' in such a process.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    absent = _Absent("pandas")
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(absent)


class _Absent:
    """Answers for a module that it is not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == self._name:
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)
        return None
