"""Forked processes are like those that begin anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import forked

SAYS = """
import os, sys
print(sys.argv[1:], os.getcwd(), sorted(os.environ), sys.stdin.read(), os.getsid(0) == os.getpid())
print("not more", file=sys.stderr)
sys.exit(len(sys.argv))
"""


def test_it_is_what_a_new_process_would_be(tmp_path: Path) -> None:
    environment = {"LC_CTYPE": "C.UTF-8", "NAME": "value"}
    anew = subprocess.run(
        [sys.executable, "-c", SAYS, "é", "two"],
        input="read",
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    )
    done = forked.run("-c", SAYS, "é", "two", text="read", cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (3, anew.stdout, anew.stderr)
    assert anew.returncode == 3


def test_a_module_is_run_as_main() -> None:
    done = forked.run("-m", "conversion", "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("bioscan5m ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    program = "import time; print('here', flush=True); time.sleep(600)"
    with forked.Forked("-c", program, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == "here\n"
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(number)
        assert process.wait() == -number
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_an_error_is_a_traceback() -> None:
    done = forked.run("-c", "import atexit; atexit.register(print, 'end'); 1 / 0")
    assert (done.returncode, done.stdout) == (1, "end\n")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_nothing_is_kept_of_its_libraries_environment(tmp_path: Path) -> None:
    program = "from huggingface_hub import constants; print(constants.HF_HOME)"
    for folder in (tmp_path / "a", tmp_path / "b"):
        done = forked.run("-c", program, libraries=forked.DATASETS, env={"HF_HOME": str(folder)})
        assert done.stdout == f"{folder}\n"
