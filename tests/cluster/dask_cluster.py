"""A Dask scheduler and its workers, as processes that can be stopped and killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from distributed import Client, Scheduler

from tests.forked import Forked

_DASK = ("distributed.cli.dask_scheduler", "distributed.cli.dask_worker")
_Process = Forked | subprocess.Popen[bytes]
_SLOW = Path(__file__).with_name("slow_worker.py")


class DaskCluster:
    """A scheduler on a free port of this machine, and workers.

    Args:
        folder: For its files.
        settings: More of the environment of the scheduler.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.processes: list[_Process] = []
        self._file = folder / "scheduler.json"
        options = ("--port", "0", "--idle-timeout", "300", "--scheduler-file", self._file)
        self.scheduler = self._start("scheduler", *options, settings=settings)
        wait_until(self._is_described)
        self.address: str = json.loads(self._file.read_text())["address"]
        self.client = Client(self.address, set_as_default=False)

    def _is_described(self) -> bool:
        # It is there before it is whole.
        return self._file.exists() and self._file.read_text().rstrip().endswith("}")

    def _start(
        self,
        kind: str,
        *words: str | Path,
        settings: Mapping[str, str],
        before: tuple[str, ...] = (),
    ) -> _Process:
        command = ["-m", f"distributed.cli.dask_{kind}"]
        command += ["--host", "127.0.0.1", "--no-dashboard", *map(str, words)]
        environment = {**os.environ, **settings}
        process: _Process
        with (self._folder / f"{kind}-{len(self.processes)}.log").open("wb") as log:
            # Dask and Python keep what they find in the environment.
            if before or any(name.startswith(("DASK", "PYTHON")) for name in settings):
                process = subprocess.Popen(
                    [*before, sys.executable, *command],
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,
                )
            else:
                process = Forked(*command, libraries=_DASK, stdout=log, stderr=log, env=environment)
        self.processes.append(process)
        return process

    def start_worker(
        self,
        *words: str,
        slow: float | None = 0.3,
        before: tuple[str, ...] = (),
        **settings: str,
    ) -> _Process:
        """Start a worker with one thread, without a nanny unless it is asked for, and wait for it.

        Args:
            words: More options; the last of the same name counts.
            slow: How many seconds it pauses before each block of a shard; ``None`` for a worker
                that begins without this project.
            before: A command that starts it.
            settings: More of its environment.
        """
        known = len(self.workers())
        process = self._start(
            "worker",
            self.address,
            *("--nthreads", "1", "--no-nanny", "--local-directory", self._folder),
            *(() if slow is None else ("--preload", _SLOW)),
            *("--death-timeout", "30"),
            *words,
            before=before,
            settings={"SECONDS_A_BLOCK": str(slow), **settings},
        )
        wait_until(lambda: len(self.workers()) > known)
        return process

    def workers(self) -> dict[str, int]:
        """The process of each worker, by its address."""
        found: dict[str, int] = {}
        for address, answer in self.client.run(os.getpid, on_error="ignore").items():
            found[address] = int(answer)
        return found

    def cut_off(self, process: _Process) -> None:
        """Let the scheduler take a worker for lost, such as one that the network lost."""
        addresses = [address for address, number in self.workers().items() if number == process.pid]
        os.killpg(process.pid, signal.SIGSTOP)
        self.client.run_on_scheduler(_forget, addresses[0])

    def end(self, process: _Process) -> None:
        """Kill a process and its children."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.processes.remove(process)

    def close(self) -> None:
        """End all."""
        try:
            self.client.close(timeout=5)
        finally:
            for process in list(self.processes):
                self.end(process)


async def _forget(address: str, dask_scheduler: Scheduler) -> None:
    await dask_scheduler.remove_worker(address, stimulus_id="a test")


def wait_until(holds: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never happened"
        # Some ask all workers, who have something else to do.
        time.sleep(0.05)
