"""Conversions that are killed, or find the disk full, while the catalogue writes its runs."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import make_once
from tests.forked import Forked
from tests.inline import call
from tests.processes import RELEASE_CSV, digests, leftovers
from tests.rows import as_csv, plain

SPECIMENS = 3_000
"""So many that the csv is read in several batches, of the size that ``many_runs`` sets."""


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    options = SampleOptions(
        shared / "runs",
        SPECIMENS,
        packages=("cropped_256",),
        metadata=("csv",),
        tiny=True,
        workers=1,
    )
    return make_once(options.root, lambda _: write_sample(options))


def command(release: Path, output: Path) -> tuple[str | Path, ...]:
    return ("convert", release, "--output", output, "--shard-size", "400kB", "--workers", "2")


@pytest.fixture(scope="session")
def whole(source: Path, shared: Path) -> dict[str, str]:
    """The digests of a conversion that nothing disturbed, with one run of all rows."""
    output = make_once(shared / "runs-out", lambda output: call(*command(source, output)))
    return digests(output)


def many_runs(how: str, number: int, *words: str | Path) -> subprocess.CompletedProcess[str]:
    driver = ("-m", "tests.catalogue.many_runs", how, str(number))
    # To a file: a pipe would be held open by workers that outlive the program for a moment.
    told = Path(words[words.index("--output") + 1]).with_suffix(".told")
    with told.open("w") as file:
        done = Forked(*driver, *words, stderr=file)
        done.wait(300)
    return subprocess.CompletedProcess(done.args, done.wait(), "", told.read_text())


@pytest.mark.parametrize("written", [1, 3, 5])
def test_a_kill_between_two_runs(
    written: int, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    killed = many_runs("killed", written, *command(source, output))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert leftovers(output), "it was to be killed in the middle"
    call(*command(source, output))
    assert digests(output) == whole
    assert not leftovers(output)


def test_many_runs_make_the_same_bytes(source: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    done = many_runs("undisturbed", 0, *command(source, tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "out") == whole


def test_a_disk_that_is_full_while_runs_are_written(
    source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    full = many_runs("full", 600_000, *command(source, output), "--quiet")
    assert full.returncode == 1
    [line] = full.stderr.splitlines()
    assert line.startswith("bioscan5m: error: ")
    assert "the catalogue cannot be made (File too large)" in line
    call(*command(source, output))
    assert digests(output) == whole


def test_bad_rows_are_recorded_the_same_in_one_run_and_in_many(
    source: Path, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    shutil.copytree(source, release)
    csv = release / RELEASE_CSV
    lines = csv.read_bytes().splitlines(keepends=True)
    header, *rows = as_csv([plain(1, area_fraction="x"), plain(2, split="nowhere")]).splitlines(
        keepends=True
    )
    assert header.strip() == lines[0].strip()
    # A value that is none, a row again many batches later, a split that is none.
    lines[100:100] = [rows[0]]
    lines += [lines[50], rows[1]]
    csv.write_bytes(b"".join(lines))
    found = {}
    for how, output in (("one", tmp_path / "one"), ("many", tmp_path / "many")):
        words = (*command(release, output), "--on-error", "record")
        if how == "one":
            call(*words)
        else:
            assert (done := many_runs("undisturbed", 0, *words)).returncode == 0, done.stderr
        found[how] = digests(output)
    assert found["one"] == found["many"]
    rejects = pq.read_table(tmp_path / "one" / "rejects.parquet")
    assert sorted(rejects["reason"].to_pylist()) == [
        "duplicate",
        "unknown-split",
        "unparsable-value",
    ]
