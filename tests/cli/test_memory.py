"""Too little memory: one line that says so, and nothing that is taken for damage."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.memory import is_no_memory
from conversion.shards.read import read_shard
from tests.inline import run

MIB = 1 << 20
REFUSED = (
    "OSError(12, 'Cannot allocate memory')",
    "MemoryError()",
    "pa.ArrowMemoryError('malloc of size 64 failed')",
    "pa.ArrowException('Unknown error: Failed to launch worker thread: Resource …')",
    'RuntimeError("can\'t start new thread")',
    "pa.ArrowException('Unknown error: std::bad_alloc')",
)


@pytest.mark.parametrize("command", ["convert", "inspect"])
@pytest.mark.parametrize(
    ("limit", "most"),
    [
        (resource.RLIMIT_DATA, 40 * MIB),
        (resource.RLIMIT_DATA, 100 * MIB),
        (resource.RLIMIT_AS, 400 * MIB),
    ],
)
def test_what_would_not_do_is_refused_before_the_work(
    command: str, limit: int, most: int, tmp_path: Path
) -> None:
    more = {"convert": ["--output", str(tmp_path / "out")]}
    done = subprocess.run(
        [sys.executable, "-m", "conversion", command, str(tmp_path / "in"), *more.get(command, [])],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (most, resource.RLIM_INFINITY)),
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"bioscan5m: error: a process may have {most // MIB} MiB of memory here")


@pytest.mark.parametrize(
    ("limit", "most"), [(resource.RLIMIT_DATA, 1300 * MIB), (resource.RLIMIT_AS, 1800 * MIB)]
)
def test_a_large_release_is_refused_where_libraries_would_end_the_process(
    limit: int, most: int, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    release.mkdir()
    (release / "BIOSCAN_5M_cropped_256_train.zip").touch()
    with (release / "BIOSCAN_5M_Insect_Dataset_metadata.csv").open("wb") as file:
        file.truncate(165 * MIB)
    done = subprocess.run(
        [sys.executable, "-m", "conversion", "convert", str(release), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (most, resource.RLIM_INFINITY)),
    )
    assert done.returncode == 1
    assert f"a process may have {most // MIB:,} MiB of memory here" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("told", REFUSED)
def test_want_of_memory_is_no_damage(
    told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: Exception = eval(told, {"pa": pa})
    assert is_no_memory(error)

    def refuse(_: Path) -> None:
        raise error

    monkeypatch.setattr("conversion.shards.read.require_regular", refuse)
    with pytest.raises(type(error) if isinstance(error, OSError | RuntimeError) else MemoryError):
        next(read_shard(tmp_path / "a.parquet", ["processid"]))
    with pytest.raises(MemoryError):
        raise ArchiveError.unreadable("a", error)
    monkeypatch.setattr("conversion.catalogue.inspection.locate_release", refuse)
    done = run("inspect", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("bioscan5m: error: there is not enough memory; ")
    assert done.stderr.count("\n") == 1
