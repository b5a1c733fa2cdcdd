"""Conversions that are killed, interrupted, doubled and taken up again: always the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from bioscan5m_hf.errors import DataError
from bioscan5m_hf.sources.resolve import open_data
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.inline import call
from tests.processes import RELEASE_CSV, Program, digests, leftovers
from tests.reading.range_server import serve

KILLS = 25
OPTIONS = ("--package", "cropped_256", "--shard-size", "150kB", "--workers", "2")


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """A release that makes a dozen shards."""
    options = SampleOptions(
        shared / "resume", 200, seed=6, packages=("cropped_256",), distinct=10, workers=1
    )
    return make_once(options.root, lambda _: write_sample(options))


def shards(output: Path) -> dict[str, str]:
    found = digests(output / "cropped_256").items()
    return {name: digest for name, digest in found if not name.startswith(".")}


def command(release: Path, output: Path) -> tuple[str | Path, ...]:
    return ("convert", release, "--output", output, *OPTIONS)


@pytest.fixture(scope="session")
def whole(source: Path, shared: Path, run: Run) -> dict[str, str]:
    """The digests of a conversion that nothing disturbed."""
    output = make_once(shared / "undisturbed", lambda output: run(*command(source, output)))
    found = digests(output)
    assert sum("cropped_256/" in name for name in found) > 10
    assert not leftovers(output)
    return found


def finish(source: Path, output: Path, whole: dict[str, str]) -> None:
    """Go on where another process was stopped."""
    call(*command(source, output))
    assert digests(output) == whole
    assert not leftovers(output)


def test_killed_at_random_moments(source: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    choose = random.Random(25)
    timed = Program(*command(source, tmp_path / "timed"))
    timed.wait_for("reading")
    began = time.monotonic()
    assert timed.wait() == 0
    length = time.monotonic() - began
    output = tmp_path / "out"
    kills = 0
    while kills < KILLS:
        program = Program(*command(source, output))
        # Before this there is nothing that a kill could spoil; it is not said where the kill before
        # came after everything was done.
        if program.reaches("reading") and program.kill_after(choose.uniform(0, 0.9) * length):
            kills += 1
        else:
            # It came to its end: what the kills before have left did no harm.
            assert digests(output) == whole
            assert not leftovers(output)
            shutil.rmtree(output)
    finish(source, output, whole)


@pytest.mark.parametrize("moment", ["reading the metadata", "listing the images", "converting"])
def test_a_killed_worker_is_replaced(
    moment: str, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    killed = False
    # On a busy machine the conversion may end before this process gets its turn.
    while not killed:
        shutil.rmtree(output, ignore_errors=True)
        program = Program(*command(source, output))
        program.wait_for(moment)
        killed = program.kill_worker()
        assert program.wait() == 0, program.said
        assert digests(output) == whole
        assert not leftovers(output)


def test_workers_that_die_again_and_again_stop_the_run(
    source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    status = 0
    # On a busy machine the conversion may end before this process gets its turn.
    while status == 0:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        program = Program(*command(source, tmp_path / "out"))
        program.wait_for("listing")
        while program.process.poll() is None:
            for worker in program.workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        status = program.wait()
    assert status == 1
    progress = (f"the metadata are read from {RELEASE_CSV}", "reading ", "listing ", "converting ")
    [line] = [line for line in program.said.splitlines() if not line.startswith(progress)]
    assert line.startswith("bioscan5m: error: ")
    assert "worker process" in line
    finish(source, tmp_path / "out", whole)


@pytest.mark.parametrize(
    ("number", "moments"),
    [
        (signal.SIGINT, ("reading", "listing", "converting", "converting")),
        (signal.SIGTERM, ("reading", "converting")),
    ],
)
def test_an_interruption_ends_with_a_line_that_says_how_to_go_on(
    number: signal.Signals,
    moments: tuple[str, ...],
    source: Path,
    tmp_path: Path,
    whole: dict[str, str],
) -> None:
    choose = random.Random(number)
    output = tmp_path / "out"
    left = [*moments]
    while left:
        program = Program(*command(source, output))
        # Where the interruption before came after everything was done, nothing is converted.
        if program.reaches(left[0]):
            time.sleep(choose.uniform(0, 0.25))
            program.interrupt(number)
        status = program.wait()
        assert "Traceback" not in program.said
        if status == 0:
            shutil.rmtree(output)
            continue
        left.pop(0)
        assert status == 128 + number, program.said
        told = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
        last = program.said.splitlines()[-1]
        assert last == f"bioscan5m: error: {told}; run the same command again to go on"
        assert not list(output.rglob("*.partial"))
    finish(source, output, whole)


def test_a_second_conversion_into_the_same_folder_is_refused(
    source: Path, tmp_path: Path, run: Run, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    held = output / ".bioscan5m" / "lock"
    # On a busy machine the conversion may end before this process gets its turn.
    while not held.exists():
        shutil.rmtree(output, ignore_errors=True)
        first = Program(*command(source, output))
        first.wait_for("listing")
        first.interrupt(signal.SIGSTOP)
    for _ in range(2):
        refused = run(*command(source, output), status=1)
        assert "another conversion is writing this folder" in refused.stderr
    first.interrupt(signal.SIGCONT)
    assert first.wait() == 0, first.said
    assert digests(output) == whole
    # A dead one holds nothing.
    shutil.rmtree(output)
    second = Program(*command(source, output))
    second.wait_for("listing")
    second.interrupt(signal.SIGKILL)
    second.wait()
    finish(source, output, whole)


@pytest.fixture
def unfinished(source: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A release that may be changed, and a folder with some of its shards."""
    release, output = tmp_path / "release", tmp_path / "out"
    shutil.copytree(source, release)
    receipts = output / ".bioscan5m" / "receipts"
    # On a busy machine the conversion may end before this process gets its turn.
    while not list(receipts.glob("*.json")):
        shutil.rmtree(output, ignore_errors=True)
        program = Program(*command(release, output))
        program.wait_for("converting")
        while not list(receipts.glob("*.json")) and program.process.poll() is None:
            time.sleep(0.005)
        program.interrupt(signal.SIGKILL)
        program.wait()
    return release, output


def test_what_is_there_of_an_unfinished_conversion_is_not_loaded_as_if_it_were_all(
    unfinished: tuple[Path, Path],
) -> None:
    _, output = unfinished
    with serve(output, lists=True) as served:
        for place in (output, served.url):
            with pytest.raises(DataError, match="into this folder has not finished"):
                open_data(place)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--shard-size", "90kB"), "the shard size was 150,000 bytes and is now 90,000 bytes"),
        (("--format", "arrow"), "the format was parquet and is now arrow"),
    ],
)
def test_other_options_are_an_error_that_says_what_changed(
    options: tuple[str, str], told: str, unfinished: tuple[Path, Path], tmp_path: Path
) -> None:
    release, output = unfinished
    before = shards(output)
    line = call(*command(release, output), *options, status=1).stderr.splitlines()[-1]
    assert told in line
    assert "--restart" in line
    assert shards(output) == before
    call(*command(release, output), *options, "--restart")
    call(*command(release, tmp_path / "anew"), *options)
    assert digests(output) == digests(tmp_path / "anew")
    assert not leftovers(output)


def change_value(release: Path) -> None:
    path = release / RELEASE_CSV
    path.write_bytes(path.read_bytes().replace(b"Arthropoda", b"Arthropodo"))


def add_specimens(release: Path) -> None:
    # Twice as many specimens: other shards altogether.
    shutil.rmtree(release)
    write_sample(
        SampleOptions(release, 400, seed=6, packages=("cropped_256",), distinct=10, workers=1)
    )


@pytest.mark.parametrize("change", [change_value, add_specimens])
def test_another_release_is_an_error_that_says_so(
    change: object, unfinished: tuple[Path, Path], tmp_path: Path
) -> None:
    assert callable(change)
    release, output = unfinished
    change(release)
    line = call(*command(release, output), status=1).stderr.splitlines()[-1]
    assert "the images or the metadata of the release have changed" in line
    call(*command(release, output), "--restart")
    call(*command(release, tmp_path / "anew"))
    assert digests(output) == digests(tmp_path / "anew")
    # And once it is finished, the other way round.
    path = release / RELEASE_CSV
    path.write_bytes(path.read_bytes().replace(b"Insecta", b"insecta"))
    assert "--restart" in call(*command(release, output), status=1).stderr


def test_damaged_shards_and_receipts_are_made_again(
    unfinished: tuple[Path, Path], whole: dict[str, str]
) -> None:
    release, output = unfinished
    [shard, *_] = output.glob("cropped_256/*.parquet")
    flip(shard, 4000)
    for receipt in list(output.glob(".bioscan5m/receipts/*.json"))[1:]:
        flip(receipt, 40)
    finish(release, output, whole)


def test_a_finished_folder_is_mended(source: Path, tmp_path: Path, whole: dict[str, str]) -> None:
    output = tmp_path / "out"
    finish(source, output, whole)
    shards = sorted(output.glob("cropped_256/*.parquet"))
    flip(shards[0], 5000)
    shards[3].unlink()
    flip(next(output.glob("metadata/*.parquet")), 50)
    (output / "README.md").write_text("mine")
    call("verify", output, status=1)
    finish(source, output, whole)
    flip(output / "manifest.json", 30)
    assert "the manifest" in call(*command(source, output), status=1).stderr
    call(*command(source, output), "--restart")
    assert digests(output) == whole


def flip(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte % len(data)] ^= 4
    path.write_bytes(data)


def test_another_size_of_shards_is_named_where_all_is_finished(
    small_release: Path, tmp_path: Path
) -> None:
    words = ("convert", small_release, "--output", tmp_path / "out", "--split", "val")
    call(*words, "--shard-size", "2MB")
    line = call(*words, "--shard-size", "100kB", status=1).stderr.splitlines()[-1]
    assert "original_256/validation has shards of 2,000,000 bytes, not 100,000" in line
    assert "other images" not in line
