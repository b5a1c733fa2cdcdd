"""Start worker processes early, without modules they do not use, and with signals blocked."""

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
"""The exit code of a worker that began to run the main script of its parent."""

_PRELOADED: Final = "conversion.executors.preload"
_OBJECTS_TO_SEARCH: Final = 50_000
_THREADS: Final = Path("/proc/self/task")
_JEMALLOC: Final = "JE_ARROW_MALLOC_CONF"
# Arrow's memory pool, and after how many milliseconds it returns memory to the system. Huge pages
# are off: the kernel would clear pages of two megabytes, and shards need smaller blocks.
_ARROW_MEMORY: Final = {
    "ARROW_DEFAULT_MEMORY_POOL": "mimalloc",
    "MIMALLOC_PURGE_DELAY": "100",
    "MIMALLOC_ALLOW_THP": "0",
}
# Thresholds up to which glibc's allocator keeps freed memory: the environment variable, the
# parameter of mallopt(3), and the bytes.
_MEMORY: Final = (
    ("MALLOC_TRIM_THRESHOLD_", -1, 64 << 20),
    ("MALLOC_MMAP_THRESHOLD_", -3, 32 << 20),
)


def may_fork() -> bool:
    """Whether this process has only one thread; otherwise a forked child may deadlock."""
    try:
        return len(list(_THREADS.iterdir())) == 1
    except OSError:
        # The system is not Linux, or /proc cannot be read.
        return False


def worker_context() -> BaseContext:
    """Return a start method that forks workers from a server, which has imported their modules.

    Workers cannot be forked from this process if it has threads, and importing Arrow in each of
    them takes a third of a second. The server starts here, so that it imports while the caller
    continues.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    # Otherwise the resource tracker would start with the first worker, and its start unblocks
    # Ctrl-C in this process, and so in that worker. The tracker itself ignores Ctrl-C, but not the
    # end of the terminal. If it is ended and started again, it complains about each semaphore that
    # it does not know.
    with signals_blocked():
        resource_tracker.ensure_running()
    try:
        with signals_blocked():
            forkserver.ensure_running()
    except OSError:
        # The server listens on a socket in the temporary folder, whose path may be too long.
        return multiprocessing.get_context("spawn")
    return context


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block the signals that end a command, in this process and in those started meanwhile.

    Ctrl-C and the end of the terminal send a signal to every process of the terminal, and only the
    parent should react. It must first have registered all its children, because at its exit it
    would wait for an unregistered child. The children import with these signals blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_second_run() -> None:
    """End a worker that is about to start workers itself while it imports the main module.

    A worker that is not forked from this process imports the script that its parent runs. It runs
    everything in it again that is not below ``if __name__ == "__main__":``.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(SECOND_RUN)


def tune_libraries() -> None:
    """Turn off work of libraries that takes time and gains nothing; call this before any import.

    NumPy's linear algebra would start a thread for each processor, which spins for a tenth of a
    second, and nothing here uses it. Importing makes some hundred thousand objects, and none of
    them is garbage; the garbage collector would search them again and again. Memory that is
    returned to the system at once is requested again for the next block, which costs as much time
    as filling it.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(_OBJECTS_TO_SEARCH, 20, 100)
    if sys.platform != "linux":
        return
    # Arrow's pool that uses glibc copies each buffer that shrinks; this took a third of planning.
    for name, value in _ARROW_MEMORY.items():
        os.environ.setdefault(name, value)
    # Arrow's jemalloc pool is not used, but would start a thread, and then nothing can be forked.
    os.environ.setdefault(_JEMALLOC, "background_thread:false")
    libc = ctypes.CDLL(None)
    for name, number, size in _MEMORY:
        # The variable affects processes that start later, and mallopt affects this one.
        if os.environ.setdefault(name, str(size)) == str(size) and hasattr(libc, "mallopt"):
            libc.mallopt(number, size)


def keep_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which takes a quarter of a second in each process.

    When it makes its first array, pyarrow tries to import pandas, to distinguish a Series from a
    list. It also works without pandas, and does not try again. Pandas can still be imported later,
    but Arrow tables cannot be converted to pandas in such a process.
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
    """An import finder that reports one module as not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == self._name:
            raise ModuleNotFoundError(f"{name} is not looked for here", name=name)
        return None
