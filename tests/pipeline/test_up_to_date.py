"""A conversion that has nothing to do says so at once; whatever has changed is noticed."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bioscan5m_hf.errors import BioscanError, ChangedInput
from bioscan5m_hf.schema.columns import split_named
from conversion.card.figures.specimens import Pick
from conversion.files.atomic import Written
from conversion.folder.manifest import SplitFiles
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.outcome import Summary
from conversion.planning.tasks import ShardTask
from conversion.progress import SilentWatcher
from conversion.shards.build import ShardResult
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.derive.test_derive import BBOX
from tests.pipeline.test_record import TRAIN, member, write
from tests.processes import RELEASE_CSV, digests, leftovers
from tests.release.zips import Zip
from tests.rows import plain

THERE = "nothing to do"


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """Two packages, zips in groups."""
    packages = ("original_256", "cropped_256")
    options = SampleOptions(
        shared / "to-finish", 60, seed=8, packages=packages, distinct=6, workers=1
    )
    return make_once(options.root, lambda _: write_sample(options))


class Heard(SilentWatcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said = ""

    def say(self, text: str) -> None:
        self.said += f"{text}\n"


def go(options: ConvertOptions) -> tuple[bool, Summary]:
    """Convert; tells whether everything was there already."""
    heeded_signals = Heard()
    summary = convert(options, heeded_signals)
    assert ("reading the metadata" in heeded_signals.said) == (THERE not in heeded_signals.said)
    if THERE in heeded_signals.said:
        assert summary.made == 0
    return THERE in heeded_signals.said, summary


@pytest.fixture
def options(source: Path, tmp_path: Path) -> ConvertOptions:
    """From a release that may be changed, by one worker, into shards of which there are many."""
    shutil.copytree(source, tmp_path / "release")
    return ConvertOptions(
        tmp_path / "release", tmp_path / "out", 1, packages=("cropped_256",), shard_bytes=60_000
    )


def held(summary: Summary) -> dict[str, dict[str, SplitFiles]]:
    return {outcome.package: outcome.splits for outcome in summary.outcomes}


def test_the_second_run_reads_nothing_and_shows_the_same(options: ConvertOptions) -> None:
    _, first = go(options)
    made = digests(options.output)
    for _ in range(2):
        there, again = go(options)
        assert there
        assert held(again) == held(first)
        assert (again.manifest, again.strays) == (first.manifest, first.strays)
    assert digests(options.output) == made
    assert not leftovers(options.output)


def test_an_input_that_was_touched_is_read_again_and_is_the_same(options: ConvertOptions) -> None:
    go(options)
    assert isinstance(options.release, Path)
    for path in options.release.rglob("*"):
        path.touch()
    there, again = go(options)
    assert not there
    assert again.made == 0
    assert go(options)[0]


def change_a_value(release: Path) -> None:
    path = release / RELEASE_CSV
    path.write_bytes(path.read_bytes().replace(b"Arthropoda", b"Arthropodo", 1))


def change_a_member(release: Path) -> None:
    [archive, *_] = sorted(release.rglob("*cropped_256*train.zip"))
    with zipfile.ZipFile(archive) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    name = next(name for name in members if name.endswith(".jpg"))
    data = bytearray(members[name])
    data[300] ^= 1
    members[name] = bytes(data)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as new:
        for each, content in members.items():
            new.writestr(each, content)


@pytest.mark.parametrize("change", [change_a_value, change_a_member])
def test_other_input_is_noticed(change: Callable[[Path], None], options: ConvertOptions) -> None:
    go(options)
    assert isinstance(options.release, Path)
    change(options.release)
    with pytest.raises(ChangedInput):
        go(options)
    assert not go(replace(options, restart=True))[0]
    assert go(options)[0]


def remove_a_shard(output: Path) -> None:
    sorted(output.glob("cropped_256/*.parquet"))[1].unlink()


def flip_a_bit_unseen(output: Path) -> None:
    """As a program that sets length and time of modification back."""
    shard = sorted(output.glob("cropped_256/*.parquet"))[1]
    before = shard.stat()
    with shard.open("r+b") as file:
        file.seek(4000)
        byte = file.read(1)[0]
        file.seek(4000)
        file.write(bytes([byte ^ 1]))
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (shard.stat().st_mtime_ns, shard.stat().st_size) == (before.st_mtime_ns, before.st_size)


def shorten_the_metadata(output: Path) -> None:
    shard = min(output.glob("metadata/*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1])


def change_the_card(output: Path) -> None:
    (output / "README.md").write_text("mine")


DAMAGE = [remove_a_shard, flip_a_bit_unseen, shorten_the_metadata, change_the_card]


def test_a_damaged_folder_is_mended(options: ConvertOptions) -> None:
    go(options)
    whole = digests(options.output)
    assert go(options)[0]
    for damage in DAMAGE:
        damage(options.output)
        assert digests(options.output) != whole
        assert not go(options)[0]
        assert digests(options.output) == whole
        assert go(options)[0]


def test_a_touched_or_copied_shard_with_the_same_bytes_is_read_and_accepted(
    options: ConvertOptions,
) -> None:
    go(options)
    first, second, *_ = sorted(options.output.glob("cropped_256/*.parquet"))
    first.touch()
    data = second.read_bytes()
    second.unlink()
    second.write_bytes(data)
    assert go(options)[0]


def test_other_options_go_the_ordinary_way(options: ConvertOptions) -> None:
    go(options)
    assert not go(replace(options, record=True))[0]
    assert not go(replace(options, splits=(split_named("val"),)))[0]
    assert not go(replace(options, restart=True))[0]
    with pytest.raises(ChangedInput, match="shards of"):
        go(replace(options, shard_bytes=90_000))
    assert go(options)[0]
    assert not go(replace(options, name="user/name"))[0]
    # The card names the repository, and the manifest does.
    assert go(replace(options, name="user/name"))[0]
    assert not go(options)[0]


def test_splits_and_packages_that_were_added_one_by_one(options: ConvertOptions) -> None:
    steps = [
        replace(options, splits=(split_named("val"),)),
        replace(options, splits=(split_named("train"), split_named("test"))),
        replace(options, packages=("original_256",), splits=(split_named("val"),)),
    ]
    first = [go(step) for step in steps]
    assert not any(there for there, _ in first)
    whole = digests(options.output)
    for step, (_, before) in zip(steps, first, strict=True):
        there, again = go(step)
        assert there
        assert held(again) == held(before)
    next(options.output.glob("original_256/validation-*")).unlink()
    assert go(steps[0])[0]
    assert not go(steps[2])[0]
    assert digests(options.output) == whole


def test_what_was_left_out_is_told_again(tmp_path: Path) -> None:
    rows = [plain(n) for n in range(4)] + [plain(9, coord_lat="north")]
    release = write(tmp_path / "release", rows, [member(n) for n in range(3)])
    options = ConvertOptions(release, tmp_path / "out", 1, record=True)
    _, first = go(options)
    there, again = go(options)
    assert there
    assert again.bad_rows == first.bad_rows
    assert again.outcomes[0].findings == first.outcomes[0].findings
    assert [found.reason for found in again.outcomes[0].findings] == ["missing-image"]
    with pytest.raises(BioscanError):
        go(replace(options, record=False))
    (release / TRAIN).write_bytes(bytes(Zip(tuple(member(n) for n in range(4)))))
    there, mended = go(replace(options, restart=True))
    assert not there
    assert not mended.outcomes[0].findings


def test_unpacked_images_are_told_by_name_length_and_time(tmp_path: Path) -> None:
    release = write(tmp_path / "release", [plain(1)], [member(1)])
    with zipfile.ZipFile(release / TRAIN) as archive:
        archive.extractall(release)
    (release / TRAIN).unlink()
    options = ConvertOptions(release, tmp_path / "out", 1, splits=(split_named("train"),))
    go(options)
    assert go(options)[0]
    [image] = release.rglob("P1-23.jpg")
    os.utime(image, ns=(0, 0))
    assert not go(options)[0]
    assert go(options)[0]
    image.with_name("P2-23.jpg").write_bytes(image.read_bytes())
    with pytest.raises(BioscanError):
        go(options)


def test_derived_packages_depend_on_the_boxes(tmp_path: Path) -> None:
    release = tmp_path / "release"
    options_of_release = SampleOptions(
        release, 20, seed=5, workers=1, packages=("original_full",), distinct=2
    )
    write_sample(options_of_release)
    options = ConvertOptions(
        release,
        tmp_path / "out",
        1,
        packages=("cropped_256",),
        splits=(split_named("pretrain"),),
        derive="",
    )
    go(options)
    assert go(options)[0]
    boxes = release / BBOX
    boxes.write_bytes(boxes.read_bytes() + b"\n")
    assert not go(options)[0]
    assert go(options)[0]


class Elsewhere:
    """Has taken some shards away."""

    def __init__(self) -> None:
        self.taken: dict[str, Written] = {}
        self.finished = 0

    def has(self, path: str, written: Written) -> bool:
        return self.taken.get(path) == written

    def plan(self, tasks: Sequence[ShardTask], shard_bytes: int) -> None: ...

    def has_room(self, running: int) -> bool:
        return running >= 0

    def take(self, task: ShardTask, result: ShardResult) -> None:
        if result.written and task.shard.index % 2:
            self.taken[task.name] = result.written
            task.path.unlink()

    def picks(self, paths: Sequence[str]) -> Sequence[Pick]:
        return [] if paths else ()

    def finish(self) -> None:
        self.finished += 1


def test_shards_that_were_taken_away_are_there_too(options: ConvertOptions) -> None:
    options = replace(options, splits=(split_named("pretrain"),))
    sink = Elsewhere()
    convert(options, Heard(), sink)
    assert sink.taken
    heeded_signals = Heard()
    convert(options, heeded_signals, sink)
    assert THERE in heeded_signals.said
    assert sink.finished == 2
    # One of them is lost there.
    sink.taken.popitem()
    heeded_signals = Heard()
    convert(options, heeded_signals, sink)
    assert THERE not in heeded_signals.said
    # Who does not ask there finds none of them.
    assert not go(options)[0]


@pytest.mark.parametrize("note", [b"", b"[]", b'{"version": 1}', b'{"version": 1, "stamps": 5}'])
def test_a_note_that_is_none_does_no_harm(
    note: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ConvertOptions(
        write(tmp_path / "release", [plain(1)], [member(1)]), tmp_path / "out", 1
    )
    go(options)
    [path] = (tmp_path / "cache").rglob("*.json")
    path.write_bytes(note)
    assert not go(options)[0]
    assert go(options)[0]


def test_without_a_place_for_the_note_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    options = ConvertOptions(
        write(tmp_path / "release", [plain(1)], [member(1)]), tmp_path / "out", 1
    )
    for _ in range(2):
        assert not go(options)[0]


def test_the_command_says_so_and_shows_its_table(tmp_path: Path, run: Run) -> None:
    release = write(tmp_path / "release", [plain(1)], [member(1)])
    command = ("convert", release, "--output", tmp_path / "out", "--workers=1")
    first = run(*command)
    again = run(*command)
    assert THERE in again.stderr
    assert again.stdout.partition(" shards made")[0] == (
        first.stdout.partition(" shards made")[0].removesuffix("2") + "0"
    )
