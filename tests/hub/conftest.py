"""A served Hub, a dataset folder to publish, and clients in processes of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conversion.card.presentation import present
from conversion.folder.manifest import read_manifest
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.progress import SilentWatcher
from tests import forked, inline
from tests.conftest import make_once
from tests.forked import DATASETS, WARNED, Forked
from tests.hub.stand_in import HubStandIn, serve_hub
from tests.inline import without_processes

NAME = "user/bioscan-5m"


@pytest.fixture
def hub() -> Iterator[HubStandIn]:
    with serve_hub() as served:
        yield served


@pytest.fixture(scope="session")
def converted(small_release: Path, shared: Path) -> Path:
    """One package in several shards, with card and pictures."""

    def make(root: Path) -> object:
        options = ConvertOptions(
            small_release, root / NAME, 2, packages=("cropped_256",), shard_bytes=100_000
        )
        with without_processes():
            summary = convert(options, SilentWatcher())
        # Under the name that tests publish it by, so that publishing changes nothing in it.
        present(options.output, NAME)
        return summary

    return make_once(shared / "published", make) / NAME


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """A dataset folder that a test may change."""
    copy = tmp_path / NAME
    shutil.copytree(converted, copy)
    return copy


def shards_of(folder: Path) -> list[str]:
    return [file.path for file in read_manifest(folder).files()]


def large_bytes(folder: Path) -> int:
    """How much of a folder the Hub stores as large files."""
    manifest = read_manifest(folder)
    files = [*manifest.files(), *manifest.extras.values()]
    return sum(file.bytes for file in files if file.path.endswith((".parquet", ".png", ".jpg")))


@dataclass(frozen=True, slots=True)
class Client:
    """Runs programs that know of no other Hub than the stand-in."""

    hub: HubStandIn
    home: Path

    def environment(self, token: str | None = "hf_writer") -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        kept |= {
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HOME": str(self.home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        }
        return kept | ({"HF_TOKEN": token} if token else {})

    def start(self, *words: str, token: str | None = "hf_writer") -> Forked:
        program = "import sys; from conversion.cli.main import main; sys.exit(main(sys.argv[1:]))"
        return Forked(
            *("-c", program, *words),
            env=self.environment(token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    @contextlib.contextmanager
    def here(self, token: str | None = "hf_writer") -> Iterator[None]:
        """This very process knows of no other Hub than the stand-in, as long as this lasts."""
        from huggingface_hub import constants

        settings = {
            "HF_HOME": str(self.home),
            "HF_HUB_CACHE": str(self.home / "hub"),
            "HF_TOKEN_PATH": str(self.home / "token"),
            "HF_HUB_DISABLE_XET": True,
        }
        with inline.environment(self.environment(token)) as patch, warnings.catch_warnings():
            # huggingface-hub uploads with a keyword that httpx2 no longer likes.
            warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
            for name, setting in settings.items():
                patch.setattr(constants, name, setting)
            yield

    def run(self, *words: str, token: str | None = "hf_writer") -> tuple[int, str, str]:
        """Run a command in this process; returns its status and what it printed."""
        with self.here(token):
            done = inline.run(*words)
        assert "Traceback" not in done.stderr, done.stderr
        assert not token or token not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    def run_apart(self, *words: str) -> tuple[int, str, str]:
        """Run a command in a process of its own, as ``run`` does in this one."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        return process.returncode, out, err

    def python(self, program: str) -> str:
        """Run a program that must end well; returns what it printed."""
        done = forked.run(
            *("-c", WARNED + program), libraries=DATASETS, env=self.environment(None), timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def client(hub: HubStandIn, tmp_path: Path) -> Client:
    return Client(hub, tmp_path / "home")
