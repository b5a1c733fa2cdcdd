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

_SLOW = Path(__file__).with_name("slow_worker.py")


class DaskCluster:
    """A scheduler on a free port of this machine, and workers.

    Args:
        folder: For its files.
        settings: More of the environment.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._settings = settings
        self.processes: list[subprocess.Popen[bytes]] = []
        self._file = folder / "scheduler.json"
        options = ("--port", "0", "--idle-timeout", "300", "--scheduler-file", self._file)
        self.scheduler = self._start("scheduler", *options)
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
        before: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}"]
        options = ["--host", "127.0.0.1", "--no-dashboard", *map(str, words)]
        with (self._folder / f"{kind}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [*before, *command, *options],
                stdout=log,
                stderr=log,
                env={**os.environ, **self._settings, **(settings or {})},
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def start_worker(
        self,
        *words: str,
        slow: float | None = 0.3,
        before: tuple[str, ...] = (),
        **settings: str,
    ) -> subprocess.Popen[bytes]:
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

    def cut_off(self, process: subprocess.Popen[bytes]) -> None:
        """Let the scheduler take a worker for lost, such as one that the network lost."""
        addresses = [address for address, number in self.workers().items() if number == process.pid]
        os.killpg(process.pid, signal.SIGSTOP)
        self.client.run_on_scheduler(_forget, addresses[0])

    def end(self, process: subprocess.Popen[bytes]) -> None:
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
