"""What is shown: harmless, as it is, and on streams that may be anything."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conversion.cli.console import Terminal, make_console, make_table, print_error
from tests.conftest import Run
from tests.processes import Program

HOSTILE = "a\x1b[2J\x1b]52;c;ZXZpbA==\x07b\u202ec\x9b\r\t\udcff[/x][red]:smile:"
HARMLESS = r"a\x1b[2J\x1b]52;c;ZXZpbA==\x07b\u202ec\x9b\r\t\udcff[/x][red]:smile:"


def test_text_of_strangers_is_shown_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_console()
    console.print(HOSTILE)
    console.print(make_table(HOSTILE, (HOSTILE,), [(HOSTILE,)]))
    Terminal().say(HOSTILE)
    print_error(HOSTILE.replace("\r\t", ""))
    out, err = capsys.readouterr()
    assert out.count(HARMLESS) == 4
    assert err.startswith(f"{HARMLESS}\nbioscan5m: error: ")
    assert all(sign.isprintable() or sign == "\n" for sign in out + err)


def test_passwords_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    make_console().print("ftp://me:secret@host/folder")
    print_error("ftp://me:secret@host/folder: is gone")
    out, err = capsys.readouterr()
    assert out == "ftp://me:***@host/folder\n"
    assert "secret" not in err


def shell(script: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run ``bioscan5m`` as ``"$@"`` in a script."""
    return subprocess.run(
        ["bash", "-c", script, "bash", sys.executable, "-m", "conversion", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_closed_stream_takes_nothing(closed: str, small_release: Path, tmp_path: Path) -> None:
    output = tmp_path / "bioscan-5m"
    words = ("convert", small_release, "--output", output, "--split", "val")
    done = shell(f'exec "$@" {closed}', *words)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    done = shell(f'exec "$@" {closed}', "verify", output)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_standard_output(small_release: Path) -> None:
    done = shell('exec "$@" > /dev/full', "inspect", small_release)
    assert done.returncode == 1
    assert done.stderr == "bioscan5m: error: No space left on device\n"


def test_a_stream_of_few_letters(small_release: Path) -> None:
    done = shell('PYTHONIOENCODING=ascii exec "$@"', "inspect", small_release / "é")
    assert done.returncode == 1
    assert r"\xe9" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("number", "status", "told"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "the terminal is gone"),
    ],
)
def test_what_ends_a_command(
    number: signal.Signals, status: int, told: str, tmp_path: Path
) -> None:
    words = ("sample", tmp_path / "release", "-n", "5000", "--workers", "2")
    program = Program(*words, anew=True)
    program.wait_for("sampling")
    program.interrupt(number)
    assert program.wait() == status
    last = program.said.splitlines()[-1]
    assert last == f"bioscan5m: error: {told}; the same command starts from the beginning"
    assert "Traceback" not in program.said


def test_what_outlives_its_terminal(small_release: Path, tmp_path: Path) -> None:
    script = f"""
cd {tmp_path}
trap '' HUP INT
"$@" 2> notes &
until grep -q converting notes; do sleep 0.05; done
kill -HUP $!
kill -INT $!
wait $!
"""
    words = ("convert", small_release, "--output", tmp_path / "bioscan-5m")
    assert shell(script, *words).returncode == 0


def test_brackets_in_a_path(small_release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "run[/2026]" / "out[red]"
    done = call("convert", small_release, "--output", output, "--split", "val")
    assert str(output) in done.stdout
    assert str(output) in call("verify", output).stdout
