"""The command line in this very process: the same words, streams and status, in less time.

Most of what a process costs here is importing Arrow, once in it and once more in each of its
workers. What a test proves of names, bytes and messages does not depend on that; what it proves of
processes (workers that die, signals, pipes, a first import) is tested with processes.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from conversion.cli.main import main

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

POOL = "conversion.executors.processes.ProcessPoolExecutor"
"""Where worker processes are asked for."""


class NoProcesses(Executor):
    """Does at once, in this process, what a pool of processes is asked to do."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(
        self, function: Callable[_Given, _Made], /, *given: _Given.args, **named: _Given.kwargs
    ) -> Future[_Made]:
        future: Future[_Made] = Future()
        try:
            future.set_result(function(*given, **named))
        except Exception as error:  # noqa: BLE001 - a future holds whatever comes
            future.set_exception(error)
        return future


@contextlib.contextmanager
def without_processes() -> Iterator[None]:
    """Conversions and verifications in the block start no processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(POOL, NoProcesses)
        yield


@contextlib.contextmanager
def environment(wanted: Mapping[str, str]) -> Iterator[pytest.MonkeyPatch]:
    """This process has another environment, and huggingface-hub asks the Hub that it names."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - wanted.keys():
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        if endpoint := wanted.get("HF_ENDPOINT"):
            from huggingface_hub import constants

            address = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
            patch.setattr(constants, "ENDPOINT", endpoint)
            patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
        yield patch


def call(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``bioscan5m`` without starting a process; its status must be what the test expects."""
    return check(run(*words), status)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``bioscan5m`` without starting a process."""
    arguments = [*map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        without_processes(),
    ):
        found = main(arguments)
    return subprocess.CompletedProcess(arguments, found, out.getvalue(), err.getvalue())


def check(done: subprocess.CompletedProcess[str], status: int) -> subprocess.CompletedProcess[str]:
    """See that a command ended with a status, and that an error is one line."""
    assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    if status in {1, 2}:
        errors = [line for line in done.stderr.splitlines() if line.startswith("bioscan5m: ")]
        assert len(errors) <= 1
    return done
