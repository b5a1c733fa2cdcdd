"""The pool that shards are made in."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from conversion.pools.local import start_all_at_once
from conversion.start import worker_context
from tests.conftest import Run


def test_the_first_task_starts_every_worker() -> None:
    context = worker_context()
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(3, mp_context=context) as executor:
        start_all_at_once(executor)
        task = executor.submit(os.getpid)
        begun = [child for child in multiprocessing.active_children() if child not in before]
        assert len(begun) == 3
        assert task.result() in {child.pid for child in begun}


def test_a_long_name_of_the_folder_for_temporary_files(
    small_release: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    output = tmp_path / "bioscan-5m"
    run("convert", small_release, "--output", output, "--package", "cropped_256", "--workers", "2")
    run("verify", output)
    assert not list(folder.iterdir())
