"""Habits: flags and words, several with commas, short flags, a token, completion, JSON, a log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf.schema.columns import split_named
from conversion.cli.command import COMMANDS, Command
from conversion.cli.main import main
from tests.conftest import Run


def command_named(name: str) -> Command:
    found = import_module(f"conversion.cli.commands.{name}").run
    assert isinstance(found, Command)
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a command is called with in the place of doing anything."""
    values: dict[str, Any] = {}

    def note(terminal: object, **given: Any) -> int:
        values.update(given, terminal=terminal)
        return 0

    for name in COMMANDS:
        monkeypatch.setattr(command_named(name), "_run", note)
    return values


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "in", "--output", "out"),
        ("convert", "in", "-o", "out"),
        ("convert", "in", "-oout"),
        ("convert", "in", "out"),
        ("convert", "--output=out", "in"),
        ("convert", "in", "out", "--output", "out"),
    ],
)
def test_the_output_by_a_flag_or_as_a_second_word(
    words: tuple[str, ...], asked: dict[str, Any]
) -> None:
    assert main(words) == 0
    assert (asked["release"], asked["output"]) == (Path("in").absolute(), Path("out").absolute())


@pytest.mark.parametrize(
    "words",
    [
        ("--package", "cropped", "--package", "original"),
        ("--package", "cropped,original"),
        ("--package", "cropped, original_full,cropped"),
    ],
)
def test_several_by_repetition_or_with_commas(
    words: tuple[str, ...], asked: dict[str, Any]
) -> None:
    assert main(["inspect", "in", *words]) == 0
    assert asked["packages"] == ("cropped", "original_full")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("val,test", ("val", "test")),
        ("validation", ("val",)),
        ("train+val", ("train", "val")),
        ("seen", ("train", "val", "test")),
        ("unseen,val_unseen", ("key_unseen", "val_unseen", "test_unseen")),
    ],
)
def test_splits_go_by_the_names_that_people_use(
    words: str, names: tuple[str, ...], asked: dict[str, Any]
) -> None:
    assert main(["convert", "in", "out", "--split", words]) == 0
    assert asked["splits"] == tuple(map(split_named, names))


def test_the_home_of_the_user_behind_an_equals_sign(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert main(["convert", "~/in", "--output=~/out"]) == 0
    assert (asked["release"], asked["output"]) == (Path("/home/me/in"), Path("/home/me/out"))


@pytest.mark.parametrize(
    ("words", "derive"), [((), None), (("--derive",), ""), (("--derive", "cropped"), "cropped")]
)
def test_an_option_that_may_stand_alone(
    words: tuple[str, ...], derive: str | None, asked: dict[str, Any]
) -> None:
    assert main(["convert", "in", "out", *words]) == 0
    assert asked["derive"] == derive


def test_a_token_goes_where_the_library_of_the_hub_looks_for_it(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert main(["publish", "in", "user/name", "--token", "hf_mine"]) == 0
    assert os.environ["HF_TOKEN"] == "hf_mine"
    assert "token" not in asked


def complete(line: str, shell: str = "bash") -> list[str]:
    """What a shell offers behind a line."""
    words = line.split(" ")
    done = subprocess.run(
        [sys.executable, "-m", "conversion"],
        env={
            **os.environ,
            "_BIOSCAN5M_COMPLETE": f"{shell}_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert not done.stderr
    return [answer.partition(",")[2] for answer in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bioscan5m con", ["convert"]),
        ("bioscan5m convert in --shard", ["--shard-size"]),
        ("bioscan5m convert in --package crop", ["cropped", "cropped_256"]),
        (
            "bioscan5m convert in --package cropped,ori",
            ["cropped,original_full", "cropped,original_256"],
        ),
        ("bioscan5m convert in --format a", ["arrow"]),
        ("bioscan5m export in --to f", ["fasta"]),
    ],
)
def test_a_shell_completes(line: str, offered: list[str]) -> None:
    assert complete(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conversion"],
        env={**os.environ, "_BIOSCAN5M_COMPLETE": f"{shell}_source"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert f"_BIOSCAN5M_COMPLETE={shell}_complete" in done.stdout


def test_convert_and_verify_as_json(small_release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "out"
    words = ("convert", small_release, output, "--split", "val", "--package", "cropped_256")
    told = json.loads(call(*words, "--json").stdout)
    assert told["output"] == str(output)
    assert told["published"] is None
    made = told["configurations"]["cropped_256"]["validation"]
    files = list((output / "cropped_256").glob("*.parquet"))
    assert made["shards"] == len(files) == told["shards_made"] == 1
    assert made["bytes"] == files[0].stat().st_size
    assert (made["left_out"], told["left_out"], told["shards_kept"]) == (0, {}, 0)
    told = json.loads(call("verify", output, "--json").stdout)
    assert told["rows"] > made["specimens"] > 0
    assert told["differences"] == []
    files[0].write_bytes(b"other")
    told = json.loads(call("verify", output, "--json", status=1).stdout)
    assert any("cropped_256/validation" in difference for difference in told["differences"])


def test_inspect_as_json_of_one_split(small_release: Path, call: Run) -> None:
    words = ("inspect", small_release, "--split", "val", "--package", "cropped_256", "--json")
    told = json.loads(call(*words).stdout)
    assert told["fits"]
    assert told["findings"] == []
    assert list(told["specimens"]) == ["val"]
    assert list(told["packages"]) == ["cropped_256"]
    assert list(told["packages"]["cropped_256"]["splits"]) == ["val"]
    count = told["packages"]["cropped_256"]["splits"]["val"]
    assert count["with_image"] == told["specimens"]["val"]
    assert count["without_image"] == 0


def test_quiet_prints_nothing_but_errors(small_release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "out"
    done = call("convert", small_release, output, "--split", "val", "-q")
    # The one thing that a script goes on with.
    assert (done.stdout, done.stderr) == (f"{output}\n", "")
    for words in (("verify", output), ("inspect", small_release), ("card", output)):
        done = call(*words, "-q")
        assert (done.stdout, done.stderr) == ("", "")
    done = call("verify", tmp_path, "-q", status=1)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_a_log_has_what_was_said_and_when(small_release: Path, tmp_path: Path, call: Run) -> None:
    log = tmp_path / "log"
    words = ("convert", small_release, tmp_path / "out", "--split", "val", "--log-file", log)
    call(*words, "-q")
    call(*words, "--format", "arrow", status=1)
    lines = log.read_text().splitlines()
    assert all(line[:2] == "20" and line[10] == "T" for line in lines)
    assert any("listing the images of cropped_256" in line for line in lines)
    assert "holds parquet shards" in lines[-1]
    assert "--log-file" in call(*words[:-1], tmp_path, status=1).stderr


def test_a_verbose_command_says_where_an_error_comes_from(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conversion", "verify", str(tmp_path), "-v"],
        check=False,
        capture_output=True,
        text=True,
    )
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("bioscan5m: error: ")


def test_the_end_of_a_conversion_says_what_to_do_next(
    small_release: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "my-data"
    text = call("convert", small_release, output, "--split", "val").stdout
    assert f'load_dataset({str(output)!r}, "cropped_256", split="validation")' in text
    assert f"bioscan5m publish {output} USER/my-data" in text
