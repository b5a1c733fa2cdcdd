"""Releases that many tests read, made once; and the command line as a process."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bioscan5m_hf.processors import processors
from bioscan5m_hf.readers.formats import FORMATS
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests import forked, inline
from tests.inline import check

REAL = Path(__file__).resolve().parent.parent.parent / "shared" / "real"

PACKAGES = ("original_256", "cropped_256")

settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("suite")

# What starts the suite in the background may ignore it, and the processes of tests inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One process more than processors for ``-n auto``: many tests wait for a server or a lock."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return processors() + 1


@pytest.fixture(scope="session", autouse=True)
def datasets_without_torch() -> Iterator[None]:
    """Let processes of tests use ``datasets`` without torch, which takes it 1.5 s to import.

    This process has imported it with torch, so that both ways are taken.
    """
    import_module("datasets.config")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USE_TORCH", "0")
        yield


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this run of the suite share."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    (root / "shared").mkdir(exist_ok=True)
    return root / "shared"


def make_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Make a folder in whichever process comes first; the others wait for it."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.with_suffix(".done").exists():
            make(folder)
            folder.with_suffix(".done").touch()
    return folder


@pytest.fixture(scope="session")
def release(shared: Path) -> Path:
    """2,000 specimens in all four packages, zips in groups, csv and JSON-LD."""
    return make_once(
        shared / "release",
        lambda root: write_sample(SampleOptions(root, 2000, seed=1, workers=2, distinct=24)),
    )


@pytest.fixture(scope="session")
def small_release(shared: Path) -> Path:
    """80 specimens in two packages."""
    return make_once(
        shared / "small",
        lambda root: write_sample(
            SampleOptions(
                root, 80, seed=2, workers=1, distinct=8, packages=("original_256", "cropped_256")
            )
        ),
    )


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real records and photographs."""
    if not REAL.is_dir():
        pytest.skip("the real records and photographs are not on this machine")
    return REAL


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run() -> Run:
    """``bioscan5m`` as a process; its status must be what the test expects."""

    def fork(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        return check(forked.run("-m", "conversion", *words), status)

    return fork


@pytest.fixture(scope="session")
def run_anew() -> Run:
    """As ``run``, with a Python that imports what it needs, and obeys its environment."""

    def start(*words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "conversion", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return check(done, status)

    return start


@pytest.fixture(scope="session")
def call() -> Run:
    """``bioscan5m`` in this process, where it is not the processes that are tested."""
    return inline.call


@pytest.fixture
def no_processes() -> Iterator[None]:
    """What a test does itself, it does in this process too."""
    with inline.without_processes():
        yield


@pytest.fixture(scope="session")
def converted(release: Path, shared: Path, run: Run) -> Path:
    """All four packages of the release as Parquet, in several shards."""
    return make_once(
        shared / "bioscan-5m",
        lambda root: run("convert", release, "--output", root, "--shard-size", "2MB"),
    )


@pytest.fixture(scope="session")
def forms(shared: Path, small_release: Path, call: Run) -> Path:
    """A folder that holds the release in every form, to be served as a whole."""

    def make(root: Path) -> None:
        (root / "zips").symlink_to(small_release)
        for layout, name in (("full", "full-zips"), ("folder", "unpacked")):
            options = SampleOptions(
                root / name,
                80,
                seed=2,
                workers=1,
                distinct=8,
                packages=PACKAGES,
                layout=layout,  # type: ignore[arg-type]
            )
            write_sample(options)
        for form in FORMATS:
            call(
                "convert", small_release, "--output", root / form, "--format", form,
                "--shard-size", "200kB", "--quiet",
            )  # fmt: skip

    folder = shared / "forms"
    folder.mkdir(exist_ok=True)
    return make_once(folder, make)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What conversions note of themselves does not go where the user keeps it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_disks() -> Iterator[None]:
    """What this process writes is not forced onto the disk: no test lets the power fail.

    The processes that tests start and kill do force it.
    """
    with pytest.MonkeyPatch.context() as patch:
        # A descriptor that is none is still an error.
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds what another has left in the cache of a library."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
