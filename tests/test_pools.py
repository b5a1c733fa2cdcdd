"""The pool that shards are made in."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from bioscan5m_hf.errors import OutputError
from conversion.executors.processes import LocalPool, start_all_at_once
from conversion.executors.start import worker_context
from conversion.files.atomic import AtomicFile
from conversion.plan import Shard
from conversion.shards.build import MadeShard, ShardResult, ShardTask
from tests.conftest import Run
from tests.inline import without_processes


def test_the_first_task_starts_every_worker() -> None:
    context = worker_context()
    before = multiprocessing.active_children()
    with ProcessPoolExecutor(3, mp_context=context) as executor:
        start_all_at_once(executor)
        task = executor.submit(os.getpid)
        begun = [child for child in multiprocessing.active_children() if child not in before]
        assert len(begun) == 3
        assert task.result() in {child.pid for child in begun}


def test_workers_that_are_just_beginning_end_with_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[BaseProcess] = []

    class Slow(ProcessPoolExecutor):
        def _spawn_process(self) -> None:
            time.sleep(0.2)
            super()._spawn_process()  # type: ignore[misc]
            made.extend(self._processes.values())

    monkeypatch.setattr("conversion.executors.processes.may_fork", lambda: False)
    monkeypatch.setattr("conversion.executors.processes.ProcessPoolExecutor", Slow)
    pool = LocalPool(2)
    pool.stop()
    assert len({process.pid for process in made}) == 2
    assert not any(process.is_alive() for process in made)


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


def task_in(folder: Path, index: int) -> ShardTask:
    shard = Shard("cropped_256", "train", index, 9, 0, 1)
    return ShardTask(shard, str(folder), "parquet", "", "", (), (), False, ())


def written(task: ShardTask, _on_images: object) -> MadeShard:
    with AtomicFile(task.path) as file:
        file.write(task.path.name.encode())
        unseen = file.hand_over()
    if task.shard.index == 1:
        unseen.discard()
    return MadeShard(ShardResult(task.shard, 1, 1, unseen.written), unseen)


def test_a_shard_appears_after_its_worker_is_done_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversion.executors.processes.write_shard", written)
    tasks = [task_in(tmp_path, index) for index in range(3)]
    with without_processes(), LocalPool(2) as pool:
        assert pool.size == 4
        futures = [pool.submit(task) for task in tasks]
        assert futures[0].result(60).written is not None
        error = futures[1].exception(60)
        assert futures[2].result(60).shard == tasks[2].shard
    # An error of that shard alone, and none of the pool.
    assert isinstance(error, OutputError)
    assert "train-00001-of-00009.parquet: cannot be written" in str(error)
    found = sorted(path.name for path in (tmp_path / "cropped_256").iterdir())
    assert found == [tasks[0].path.name, tasks[2].path.name]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads there are")
def test_a_process_with_threads_is_not_forked() -> None:
    program = """
import threading
from conversion.executors.start import may_fork, spare_effort, spare_pandas
spare_effort()
spare_pandas()
import conversion.executors.processes
stop = threading.Event()
alone = may_fork()
thread = threading.Thread(target=stop.wait)
thread.start()
print(alone, may_fork())
stop.set()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "True False\n"
