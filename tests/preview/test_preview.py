"""What a dry run says is what the conversion then does, and it writes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run
from tests.processes import digests


def told(call: Run, *words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("convert", *words, "--json", "--quiet").stdout)
    return found


@pytest.mark.parametrize(
    "options",
    [
        ("--package", "cropped_256"),
        ("--format", "webdataset", "--captions", "--labels", "order", "--split", "val,pretrain"),
        ("--format", "arrow", "--where", "order = Diptera", "--package", "original_256"),
    ],
)
def test_it_says_what_is_then_written(
    options: tuple[str, ...], small_release: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "out"
    words: tuple[str | Path, ...] = (small_release, output, *options, "--shard-size", "100kB")
    planned = told(call, *words, "--dry-run")
    assert not output.exists()
    made = told(call, *words)
    assert planned["format"] == made["format"]
    assert planned["seconds"] > 0
    assert planned["memory"] > 10**7
    assert planned["disk"] <= planned["free"]
    assert planned["configurations"].keys() == made["configurations"].keys()
    for name, splits in made["configurations"].items():
        for split, found in splits.items():
            if not found["specimens"]:
                continue
            plan = planned["configurations"][name][split]
            assert (plan["specimens"], plan["shards"]) == (found["specimens"], found["shards"])
            assert not plan["there"]
        held = [
            (planned["configurations"][name][split]["bytes"], found["bytes"])
            for split, found in splits.items()
            if found["specimens"]
        ]
        if name != "metadata":
            # Files of few rows have a footer that is longer than the rows.
            about, truly = map(sum, zip(*held, strict=True))
            assert 0.6 < about / truly < 1.2
    before = digests(output)
    again = told(call, *words, "--dry-run")
    assert digests(output) == before
    assert again["bytes"] == 0
    assert all(s["there"] for splits in again["configurations"].values() for s in splits.values())


def test_what_is_missing_is_told_apart(small_release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "out"
    words = (small_release, output, "--package", "cropped_256")
    call("convert", *words, "--split", "val")
    done = call("convert", *words, "--dry-run")
    assert re.search(r"cropped_256 +│ validation .* is there", done.stdout)
    assert re.search(r"cropped_256 +│ train .* kB", done.stdout)
    assert done.stdout.endswith("nothing was written\n")
    # What the conversion would stop at stops this too.
    other = call("convert", *words, "--split", "val", "--shard-size", "1MB", "--dry-run", status=1)
    assert "was made from different input" in other.stderr
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("years of work")
    foreign = call("convert", small_release, full, "--dry-run", status=1)
    assert "thesis.txt" in foreign.stderr


def test_a_release_that_does_not_fit_is_told(
    small_release: Path, tmp_path: Path, call: Run
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    for path in small_release.iterdir():
        (release / path.name).symlink_to(path)
    (table,) = release.glob("*.csv")
    (loose,) = release.glob("*.jsonld")
    lines = table.read_text().splitlines(keepends=True)
    table.unlink()
    loose.unlink()
    table.write_text("".join(lines[:-5]))
    words = (release, tmp_path / "out", "--package", "cropped_256", "--dry-run")
    assert "--subset" in call("convert", *words, status=1).stderr
    found = told(call, *words, "--subset")
    specimens = sum(split["specimens"] for split in found["configurations"]["cropped_256"].values())
    assert specimens == len(lines) - 1 - 5


def test_behind_a_url_nothing_is_looked_at(
    small_release: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.txt").write_text("years of work")
    found = told(call, small_release, "memory://out", "--split", "val", "--dry-run")
    assert found["output"] == "memory://out"
    assert found["free"] is None
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["thesis.txt"]
