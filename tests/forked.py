"""Processes of Python that begin with their libraries imported: forked from one that has them.

Importing Arrow or pandas takes a process longer than most of what a test asks of it. So one
process, the template, imports them once and then forks at request. What it forks is a process like
any other: it has its own number, session, streams, folder and environment, hears signals, can be
killed, and ends as Python ends. Only what Python itself takes from the environment as it begins,
``PYTHONHASHSEED`` and its like, is that of the template; and no library may have been imported that
keeps what it found in the environment, such as ``huggingface_hub``.

How a process begins is tested with ``subprocess``: interruptions of imports, memory that does not
suffice, closed streams.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib.util
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

_ROOT: Final = Path(__file__).resolve().parent.parent
_TASKS: Final = Path("/proc/self/task")
# NumPy's algebra and one of Arrow's pools of memory start threads as they are imported. Which pool
# is taken is left to what is forked: the command says it, and datasets does not.
_NO_THREADS: Final = {
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
}
_NUMBER: Final = struct.Struct("!i")


def _found(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None


COMMAND: Final = (
    # First: it keeps the others from importing pandas, as the command does.
    "conversion.executors.preload",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "conversion.card.presentation",
    "conversion.cli.commands.convert",
    "conversion.cli.commands.verify",
    "conversion.cli.console",
    "conversion.cli.main",
    "conversion.executors.retry",
    "conversion.formats.parquet",
    "conversion.pipeline.convert",
    "conversion.pipeline.steps",
    "conversion.pipeline.together",
    "conversion.verify.folder",
    "conversion.verify.shard",
    "httpx2",
    "numpy.ma",
    "simplejpeg",
    "tqdm.auto",
)
"""What ``bioscan5m`` needs to convert and to verify."""

DATASETS: Final = (
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "dill",
    "filelock",
    "fsspec.implementations.http",
    "httpx2",
    "multiprocess.pool",
    "multiprocessing.pool",
    "pandas",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.json",
    "pyarrow.parquet",
    # Imported by others where they are installed.
    *(name for name in ("anyio", "h11", "httpcore2", "scipy.io") if _found(name)),
    "tqdm.contrib.concurrent",
    "unittest.mock",
    "xml.dom.minidom",
    "xxhash",
    "yaml",
)
"""What ``datasets`` needs, without itself: it keeps what it finds in the environment."""


WARNED: Final = "import warnings; warnings.simplefilter('error', UserWarning)\n"
"""Begins a program that no library may warn."""


class Forked:
    """A process that the template forks, with what tests ask of ``subprocess.Popen``.

    It has a session of its own.

    Args:
        words: ``-m``, a module and its words, or ``-c``, a program and its words.
        libraries: What it has imported when it begins.
        stdin: What it reads; nothing by default.
        stdout: ``PIPE``, ``DEVNULL`` or a file.
        stderr: ``PIPE``, ``DEVNULL`` or a file.
        env: Its environment, instead of that of this process.
        cwd: Its folder, instead of that of this process.
    """

    def __init__(
        self,
        *words: str | Path,
        libraries: tuple[str, ...] = COMMAND,
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.DEVNULL,
        stderr: int | IO[Any] = subprocess.DEVNULL,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.args = [*map(str, words)]
        self.returncode: int | Any = None
        self.stdout: IO[str] | None = None
        self.stderr: IO[str] | None = None
        told, tell = os.pipe()
        self._told = os.fdopen(told, "rb", 0)
        with contextlib.ExitStack() as given:
            given.callback(os.close, tell)
            streams = []
            for name, wanted in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
                if wanted == subprocess.PIPE:
                    read, write = os.pipe()
                    given.callback(os.close, write)
                    setattr(self, name, os.fdopen(read, encoding="utf-8"))
                    streams.append(write)
                elif wanted == subprocess.DEVNULL:
                    streams.append(given.enter_context(Path(os.devnull).open("r+b")).fileno())
                else:
                    assert not isinstance(wanted, int)
                    streams.append(wanted.fileno())
            wishes = {
                "words": self.args,
                "environment": dict(os.environ if env is None else env),
                "folder": str(cwd or Path.cwd()),
            }
            _template(libraries).fork(wishes, [*streams, tell])
        self.pid = self._next()

    def _next(self) -> int:
        found = self._told.read(_NUMBER.size)
        assert len(found) == _NUMBER.size, "the template has ended"
        return int(_NUMBER.unpack(found)[0])

    def poll(self) -> int | None:
        """The status, once it has ended; negative for a signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the status, negative for a signal.

        Raises:
            TimeoutExpired: It has not come.
        """
        if self.returncode is None:
            ready, _, _ = select.select([self._told], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._told:
                self.returncode = self._next()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it writes, until nobody is left who writes, and wait for its end.

        Raises:
            TimeoutExpired: It has not come.
        """
        texts = ["", ""]

        def read(number: int, stream: IO[str]) -> None:
            texts[number] = stream.read()

        readers = [
            threading.Thread(target=read, args=given, daemon=True)
            for given in enumerate((self.stdout, self.stderr))
            if given[1]
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self._close()
        self.wait(timeout)
        return texts[0], texts[1]

    def _close(self) -> None:
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()
        self.wait()


def run(
    *words: str | Path,
    libraries: tuple[str, ...] = COMMAND,
    text: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, and take what it writes; see ``Forked``.

    Args:
        words: What it runs.
        libraries: What it has imported when it begins.
        text: What it reads.
        env: Its environment.
        cwd: Its folder.
        timeout: How many seconds it may take.
    """
    with tempfile.TemporaryFile() as stdin:
        stdin.write(text.encode())
        stdin.seek(0)
        process = Forked(
            *words,
            libraries=libraries,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
        )
        with process:
            try:
                out, err = process.communicate(timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
    return subprocess.CompletedProcess(process.args, process.wait(), out, err)


class _Template:
    """The process that is forked, as seen from the process of the tests."""

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair()
        with theirs:
            # It ends with this process, however that ends, which holds the other end of its socket.
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno()), *libraries],
                cwd=_ROOT,
                env={**os.environ, **_NO_THREADS},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def fork(self, wishes: Mapping[str, object], descriptors: list[int]) -> None:
        data = json.dumps(wishes).encode()
        with self._lock:
            socket.send_fds(self._socket, [_NUMBER.pack(len(data))], descriptors)
            self._socket.sendall(data)


_template = functools.cache(_Template)


class _Server:
    """The template itself: forks a process for each request, and tells how each has ended."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._woken, self._wake = socket.socketpair()
        self._running: dict[int, int] = {}

    def serve(self) -> tuple[Any, list[int]] | None:
        """Returns in each process that is forked, with what to be; at the end with nothing."""
        for end in (self._woken, self._wake):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno())
        while True:
            ready, _, _ = select.select([self._requests, self._woken], [], [])
            if self._woken in ready:
                self._woken.recv(1 << 12)
                self._tell()
            if self._requests in ready:
                head, descriptors, _, _ = socket.recv_fds(self._requests, _NUMBER.size, 4)
                if not head:
                    return None
                data = b""
                while missing := _NUMBER.unpack(head)[0] - len(data):
                    data += self._requests.recv(missing)
                *streams, tell = descriptors
                pid = os.fork()
                if not pid:
                    self._leave(tell)
                    return json.loads(data), streams
                self._running[pid] = tell
                os.write(tell, _NUMBER.pack(pid))
                for stream in streams:
                    os.close(stream)

    def _tell(self) -> None:
        for pid in [*self._running]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                tell = self._running.pop(pid)
                # Whoever began it may have ended, or not want to know.
                with contextlib.suppress(BrokenPipeError):
                    os.write(tell, _NUMBER.pack(os.waitstatus_to_exitcode(status)))
                os.close(tell)

    def _leave(self, tell: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for held in (self._requests, self._woken, self._wake):
            held.close()
        for other in (tell, *self._running.values()):
            os.close(other)


def _become(wishes: Any, streams: list[int]) -> None:
    """Be the process that was asked for."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Those of the template know what it was told of other files.
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    os.environ.clear()
    os.environ.update(wishes["environment"])
    os.chdir(wishes["folder"])
    kind, what, *words = wishes["words"]
    sys.argv = [kind, *words]
    if kind == "-m":
        sys.path[0] = wishes["folder"]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = ""
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))


def _serve(descriptor: int, libraries: list[str]) -> None:
    for library in libraries:
        importlib.import_module(library)
    # A child would lack it, and wait for ever for a lock that it holds.
    assert not _TASKS.exists() or len([*_TASKS.iterdir()]) == 1, "a library has started a thread"
    gc.collect()
    gc.freeze()
    if found := _Server(socket.socket(fileno=descriptor)).serve():
        _become(*found)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2:])
