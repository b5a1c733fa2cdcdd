"""Links, devices, pipes and odd values anywhere in a dataset folder: nothing outside it changes.

A folder is taken, something in it is replaced at random, and every command is tried on it. Whatever
becomes of the folder, what lies outside stays byte for byte, no command hangs, and an error is one
line.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf.storage.retry import Patience
from conversion.cli.main import main
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once

pytestmark = pytest.mark.usefixtures("no_processes")

ROUNDS = 60
MOST_SECONDS = 120
XXH3 = "0" * 32

HIDDEN = [".bioscan5m" + below for below in ("", "/lock", "/work", "/receipts", "/picks")]
PLACES = [
    *HIDDEN,
    ".bioscan5m/hub-digests.json",
    "assets",
    "cropped_256",
    "metadata",
    "original_full",
    "cropped",
    "assets/taxonomy.png",
    "manifest.json",
    "README.md",
    "rejects.parquet",
    "vocabularies.parquet",
    "croissant.json",
    "cropped_256/train-00000-of-00001.parquet",
    "cropped_256/val-00000-of-00001.parquet",
    "cropped_256/validation-00000-of-00001.parquet",
    "metadata/train-00000-of-00001.parquet",
]


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    options = SampleOptions(
        shared / "hostile-release", 24, seed=9, packages=("cropped_256",), distinct=3, workers=1
    )
    return make_once(options.root, lambda _: write_sample(options))


@pytest.fixture(scope="session")
def original(source: Path, shared: Path, call: Run) -> Path:
    return make_once(
        shared / "hostile-folder",
        lambda root: call("convert", source, "--output", root, "--quiet"),
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What lies outside, with everything that a command might take for its own."""
    home = tmp_path / "home"
    for name in (
        "thesis.tex",
        ".thesis.tex.0123456789abcdef.partial",
        "train-00000-of-00400.parquet",
        "lock",
        "manifest.json",
        "receipts/cropped_256__train-00000-of-00001.json",
        "work/results.csv",
        "picks/a.json",
        "cropped_256/train-00001-of-00002.parquet",
        "assets/taxonomy.png",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("the only copy\n")
    (home / "empty").mkdir()
    return home


def everything(home: Path) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for path in sorted(home.rglob("*")):
        mode = path.lstat().st_mode
        held = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(mode) else ""
        found[path.relative_to(home).as_posix()] = mode, held
    return found


def replace(choose: random.Random, folder: Path, home: Path) -> str:
    """Replace something in the folder by a link, a pipe, a device, a folder or other bytes."""
    name = choose.choice(PLACES)
    path = folder / name
    if os.path.lexists(path.parent) and not stat.S_ISDIR(path.parent.lstat().st_mode):
        return f"{name}: nothing, since it lies behind another one"
    path.parent.mkdir(exist_ok=True)
    kept = None
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        kept = path.read_bytes() if path.is_file() else None
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    targets = [home, home / "thesis.tex", home / "new", home / "empty", Path("/dev/zero")]
    targets += [home / "cropped_256", home / "assets", home / "lock"]
    kind = choose.choice(("link", "link", "link", "relative", "loop", "pipe", "folder", "bytes"))
    if kind == "link":
        target = choose.choice(targets)
        path.symlink_to(target)
        return f"{name} -> {target}"
    if kind == "relative":
        path.symlink_to(os.path.relpath(choose.choice(targets), path.parent))
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        (path / "a").write_text("a")
    else:
        data = bytearray(kept or choose.randbytes(50))
        for _ in range(choose.randrange(1, 4)):
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        path.write_bytes(data[: choose.choice((len(data), len(data) // 2, 0))])
    return f"{name}: {kind}"


def alter(choose: random.Random, folder: Path, home: Path) -> str:
    """Change the manifest, whose own digest is then made anew."""
    path = folder / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        shards = manifest["configurations"]["cropped_256"]["train"]["shards"]
        extras = manifest["extras"]
    except (ValueError, KeyError, TypeError):
        return "a manifest that cannot be altered"
    named = choose.choice(
        [str(home / "thesis.tex"), "../home/thesis.tex", "/dev/zero", ".git/config", "a\0", 5, None]
    )
    if choose.random() < 0.5:
        extras.append({"path": named, "rows": 0, "bytes": 14, "xxh3": XXH3})
    else:
        shards[0][choose.choice(("path", "rows", "bytes", "xxh3"))] = named
    manifest.pop("digest")
    text = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    manifest["digest"] = hashlib.sha256(text).hexdigest()
    path.unlink()
    path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return f"the manifest names {named!r}"


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail where the block hangs, as on a pipe that nobody writes into."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_nothing_outside_changes(
    source: Path,
    original: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    monkeypatch.setattr("conversion.upload.hub._PATIENCE", Patience(attempts=1, pause=0))
    folder = home.parent / "folder"
    before = everything(home)
    choose = random.Random(19)
    refused = 0
    for number in range(ROUNDS):
        shutil.copytree(original, folder)
        told = [
            (replace if choose.random() < 0.75 else alter)(choose, folder, home)
            for _ in range(choose.randrange(1, 4))
        ]
        commands = [
            ["card", str(folder)],
            ["verify", str(folder), "--workers", "1"],
            ["publish", str(folder), "user/name", "--dry-run"],
            ["publish", str(folder), "user/name"],
            ["convert", str(source), "--output", str(folder)],
            ["convert", str(source), "--output", str(folder), "--restart", "--shard-size", "20kB"],
        ]
        for command in choose.sample(commands, 3):
            with within(MOST_SECONDS):
                status = main([*command, "--quiet"] if command[0] == "convert" else command)
            err = capsys.readouterr().err
            what = f"round {number}: {command[0]} after {told}: status {status}: {err[-300:]}"
            assert everything(home) == before, what
            assert "Traceback" not in err, what
            errors = [line for line in err.splitlines() if line.startswith("bioscan5m: error: ")]
            assert len(errors) == (1 if status else 0), what
            refused += bool(status)
        shutil.rmtree(folder)
    # Some are harmless, most are not.
    assert ROUNDS < refused < 3 * ROUNDS
