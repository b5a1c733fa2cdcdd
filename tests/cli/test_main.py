"""The command line itself: names, help, statuses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from conversion.cli.command import COMMANDS
from conversion.cli.main import main
from tests.conftest import Run


def test_version(call: Run) -> None:
    assert call("--version").stdout == f"bioscan5m {version('bioscan5m-hf')}\n"


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(words: tuple[str, ...], call: Run) -> None:
    text = call(*words).stdout
    for command, told in COMMANDS.items():
        assert re.search(f"^  {command} +{told}$", text, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_and_has_an_example(
    command: str, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = call(command, "--help").stdout
    assert f"\nExamples:\n  bioscan5m {command}" in text
    monkeypatch.setenv("COLUMNS", "60")
    narrow = call(command, "-h").stdout
    assert max(map(len, narrow.splitlines())) <= 60
    assert len(narrow.splitlines()) > len(text.splitlines())


HEAVY = ("pyarrow", "numpy", "pandas", "rich", "datasets", "huggingface_hub", "multiprocessing")


def test_help_imports_nothing_that_takes_long() -> None:
    program = f"""
import sys
from conversion.cli.command import COMMANDS
from conversion.cli.main import main
for command in ([], *([name] for name in COMMANDS)):
    main([*command, "--help"])
    if found := [name for name in {HEAVY!r} if name in sys.modules]:
        sys.exit(f"the help of {{command}} imports {{found}}")
print("nothing")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "nothing"


def test_quiet_says_nothing_on_standard_error(
    small_release: Path, tmp_path: Path, run_anew: Run
) -> None:
    convert = ("convert", small_release, "--split", "val", "--output")
    assert run_anew(*convert, tmp_path / "a", "--quiet").stderr == ""
    lines = run_anew(*convert, tmp_path / "b").stderr.splitlines()
    assert any(line.startswith("converting ") for line in lines)
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_inspect_shows_what_is_there(small_release: Path, call: Run) -> None:
    text = call("inspect", small_release).stdout
    assert "BIOSCAN_5M_cropped_256_eval.zip" in text
    assert "other_heldout" in text
    assert "Everything fits" in text


@pytest.mark.parametrize("words", [("inspect", "nothing"), ("nothing",)])
def test_who_calls_it_is_interrupted_as_before(words: tuple[str, ...]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert main(words)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_closed_pipe_is_no_error(small_release: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m conversion inspect {small_release} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@pytest.mark.parametrize(("folder", "status"), [("", 0), ("nothing", -signal.SIGINT)])
def test_an_interruption_after_the_end(folder: str, status: int, small_release: Path) -> None:
    program = """
import os, signal, sys
from conversion.cli.main import program
status = program()
os.kill(os.getpid(), signal.SIGINT)
sys.exit(status)
"""
    words = [sys.executable, "-c", program, "inspect", str(small_release / folder)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


def test_demo_ends_with_rows_and_a_picture(tmp_path: Path, run_anew: Run) -> None:
    text = run_anew("demo", "--output", tmp_path / "demo").stdout
    assert "everything matches the manifest" in text
    assert "processid" in text
    sheet = tmp_path / "demo" / "bioscan-5m" / "assets" / "specimens.jpg"
    assert str(sheet) in text
    assert sheet.read_bytes().startswith(b"\xff\xd8")
    again = run_anew("demo", "--output", tmp_path, status=1).stderr
    assert "something other than an earlier demo" in again


def test_ctrl_c_while_it_imports_is_no_traceback() -> None:
    # The import system asks the first finder of all: it is where the signal comes.
    program = """
import sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "conversion.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Finder())
from conversion.cli import program
sys.exit(program())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
