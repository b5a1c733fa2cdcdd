"""Nothing is deleted that was not named: other packages and splits, finished or not."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from conversion.folder.loss import beyond, describe_shards, shards_on_disk
from conversion.folder.manifest import read_manifest
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.processes import RELEASE_CSV, digests

pytestmark = pytest.mark.usefixtures("no_processes")

BOTH = ("original_256", "cropped_256")


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    options = SampleOptions(
        shared / "two", 40, seed=3, packages=BOTH, distinct=4, workers=1, metadata=("csv",)
    )
    return make_once(options.root, lambda _: write_sample(options))


@pytest.fixture
def folder(source: Path, shared: Path, tmp_path: Path, call: Run) -> Path:
    made = make_once(
        shared / "two-converted",
        lambda root: call("convert", source, "--output", root, "--quiet"),
    )
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def corrected(source: Path, tmp_path: Path) -> Path:
    """The release with other metadata."""
    release = tmp_path / "release"
    shutil.copytree(source, release)
    path = release / RELEASE_CSV
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    for row in rows:
        row[header.index("country")] = "Canada"
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return release


def packages(folder: Path) -> dict[str, str]:
    return {name: d for name, d in digests(folder).items() if name.startswith(BOTH)}


@pytest.mark.parametrize(
    ("words", "lost"),
    [
        (("--package", "cropped_256"), "original_256/train (1 shard, "),
        (("--split", "train"), "original_256/pretrain (1 shard, "),
        (("--package", "cropped_256", "--split", "train"), "original_256/train (1 shard, "),
    ],
)
def test_restart_makes_anew_what_it_was_asked_for(
    folder: Path, corrected: Path, call: Run, words: tuple[str, ...], lost: str
) -> None:
    before = digests(folder)
    command = ("convert", corrected, "--output", folder, "--restart", "--quiet")
    told = call(*command, *words, status=1).stderr
    assert "--restart would remove shards that this command does not make again" in told
    assert lost in told
    assert digests(folder) == before
    call(*command)
    assert packages(folder).keys() == {name for name in before if name.startswith(BOTH)}
    assert not packages(folder).items() & before.items()
    call("verify", folder, "--release", corrected)


def test_restart_over_a_damaged_manifest(folder: Path, source: Path, call: Run) -> None:
    held = packages(folder)
    (folder / "manifest.json").write_text("{")
    command = ("convert", source, "--output", folder, "--quiet", "--restart")
    told = call(*command, "--package", "cropped_256", status=1).stderr
    assert "original_256/train (1 shard, " in told
    assert packages(folder) == held
    assert (folder / "manifest.json").read_text() == "{"
    call(*command)
    assert packages(folder) == held
    call("verify", folder)


def test_what_another_unfinished_conversion_made_stays(
    folder: Path, source: Path, call: Run
) -> None:
    # As after an interruption: shards and receipts of one package, and no manifest.
    whole = packages(folder)
    receipts: dict[str, bytes] = {}
    for name in ("manifest.json", "README.md"):
        (folder / name).unlink()
    shutil.rmtree(folder / "cropped_256")
    (folder / ".bioscan5m" / "receipts").mkdir(parents=True)
    for name in (
        "original_256__train-00000-of-00001.json",
        "cropped_256__validation-00000-of-00001.json",
    ):
        path = folder / ".bioscan5m" / "receipts" / name
        receipts[name] = f"kept {name}".encode()
        path.write_bytes(receipts[name])
    words = ("convert", source, "--output", folder, "--package", "cropped_256")
    told = call(*words).stderr
    assert "left as they are, and not part of the dataset: original_256/" in told
    assert packages(folder) == whole
    kept = folder / ".bioscan5m" / "receipts"
    assert [path.name for path in kept.iterdir()] == [next(iter(receipts))]
    assert read_manifest(folder).packages == ["cropped_256"]
    call("convert", source, "--output", folder, "--quiet")
    assert packages(folder) == whole
    assert not (folder / ".bioscan5m").exists()
    call("verify", folder)


def test_a_package_on_another_disk(folder: Path, source: Path, tmp_path: Path, call: Run) -> None:
    elsewhere = tmp_path / "disk" / "original_256"
    elsewhere.parent.mkdir()
    (folder / "original_256").rename(elsewhere)
    (folder / "original_256").symlink_to(elsewhere)
    for name in ("train-00000-of-00400.parquet", ".x.0123456789abcdef.partial", "notes.txt"):
        (elsewhere / name).write_text("mine")
    before = digests(elsewhere)
    command = ("convert", source, "--output", folder)
    # What lies there is read, so nothing is left to do.
    assert "original_256 is a link" in call(*command).stderr
    call("verify", folder)
    call("card", folder)
    assert digests(elsewhere) == before
    # What would have to be written there is refused before any work.
    told = call(*command, "--restart", "--shard-size", "100kB", status=1).stderr
    assert "original_256: is a link to" in told
    assert digests(elsewhere) == before
    call(*command, "--restart", "--shard-size", "100kB", "--package", "cropped_256", "--quiet")
    call("verify", folder)
    assert digests(elsewhere) == before


def test_shards_in_words(tmp_path: Path) -> None:
    for name, size in {
        "cropped_256/train-00000-of-00002.parquet": 600,
        "cropped_256/train-00001-of-00002.parquet": 500,
        "original_256/test_unseen-00000-of-00001.tar": 7,
        "metadata/train-00000-of-00001.parquet": 9,
        "cropped_256/notes.txt": 5,
        "notes/train-00000-of-00001.parquet": 5,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "original_full").symlink_to(tmp_path / "cropped_256")
    found = shards_on_disk(tmp_path)
    assert sum(found.values()) == 1116
    assert describe_shards(beyond(found, {("cropped_256", "validation")})) == (
        "cropped_256/train (2 shards, 1.1 kB), original_256/test_unseen (1 shard, 7 bytes)"
    )
    assert beyond(found, {("cropped_256", "train"), ("original_256", "test_unseen")}) == {}
