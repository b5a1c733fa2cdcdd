"""The pool that shards are made in."""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import _ThreadWakeup
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from bioscan5m_hf.errors import ConversionFailed, OutputError
from conversion.executors import local
from conversion.executors.local import LocalPool
from conversion.executors.processes import Processes
from conversion.files.atomic import AtomicFile
from conversion.planning.shards import Shard
from conversion.planning.tasks import ShardTask
from conversion.shards.build import MadeShard, ShardResult
from tests.conftest import Run
from tests.inline import without_processes
from tests.processes import Program


def test_the_first_task_starts_every_worker() -> None:
    before = multiprocessing.active_children()
    with Processes(3) as processes:
        task = processes.submit(os.getpid)
        begun = [child for child in multiprocessing.active_children() if child not in before]
        assert len(begun) == 3
        assert task.result() in {child.pid for child in begun}


def test_nothing_of_a_killed_pool_lives_when_python_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python writes to the pipe of a pool's thread as it ends, which may just be closing it."""
    close = _ThreadWakeup.close

    def close_late(self: _ThreadWakeup) -> None:
        time.sleep(0.2)
        close(self)

    monkeypatch.setattr(_ThreadWakeup, "close", close_late)
    before = set(threading.enumerate())
    processes = Processes(1)
    processes.submit(time.sleep, 60)
    processes.kill()
    assert set(threading.enumerate()) == before


def send_a_part() -> None:
    """Send the length of a result as a worker does, and nothing of the result."""
    results = sys._getframe(1).f_locals["result_queue"]
    os.write(results._writer.fileno(), struct.pack("!i", 100))
    time.sleep(60)


def test_a_worker_that_is_killed_while_it_sends_a_result_is_not_waited_for() -> None:
    before = set(threading.enumerate())
    processes = Processes(1)
    processes.submit(send_a_part)
    [thread] = [t for t in threading.enumerate() if type(t).__name__ == "_ExecutorManagerThread"]
    while "_recv" not in {
        frame.name for frame in traceback.extract_stack(sys._current_frames()[thread.ident or 0])
    }:
        time.sleep(0.01)
    processes.kill()
    assert set(threading.enumerate()) == before


# A process of its own has one thread, as the command has when it begins its workers.
INTERRUPTED = """
import multiprocessing, os, signal, sys
from multiprocessing.process import BaseProcess
from conversion.executors.start import may_fork, tune_libraries
tune_libraries()
from conversion.executors import local
from conversion.executors.local import LocalPool

assert may_fork()
number = int(sys.argv[1])
begun = []

class Interrupted(BaseProcess):
    def start(self):
        super().start()
        begun.append(self)
        os.kill(os.getpid(), number)

def interrupt(*_):
    raise KeyboardInterrupt

fork = multiprocessing.get_context("fork")
fork.Process = type("Process", (Interrupted, fork.Process), {})
signal.signal(number, interrupt)
try:
    LocalPool(2)
except KeyboardInterrupt:
    print(len(begun), sum(process.is_alive() for process in begun))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_workers_begin_leaves_none_behind(number: signal.Signals) -> None:
    """Python waits at its end for each child that lives, and a worker waits for work."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(number))],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "2 0\n", done.stderr


def test_workers_that_are_just_beginning_end_with_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[BaseProcess] = []

    class Slow(ProcessPoolExecutor):
        def _spawn_process(self) -> None:
            time.sleep(0.2)
            super()._spawn_process()  # type: ignore[misc]
            made.extend(self._processes.values())

    monkeypatch.setattr("conversion.executors.local.may_fork", lambda: False)
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
    monkeypatch.setattr("conversion.executors.local.write_shard", written)
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


def _die_while_counting() -> None:
    assert local._counter is not None
    local._counter.get_lock().acquire()
    os._exit(1)


def test_a_worker_that_dies_while_it_counts_is_not_waited_for() -> None:
    told: list[int] = []
    with LocalPool(1) as pool:
        assert pool._processes.submit(_die_while_counting).exception(60)
        asked = threading.Thread(target=lambda: told.append(pool.images_done()), daemon=True)
        asked.start()
        asked.join(20)
        assert told == [0]
        pool.replace()
        assert pool.images_done() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many threads there are")
def test_a_process_with_threads_is_not_forked() -> None:
    program = """
import threading
from conversion.executors.start import may_fork, tune_libraries, keep_pandas_out
tune_libraries()
keep_pandas_out()
import conversion.executors.local
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


def test_an_error_ends_the_workers_at_once() -> None:
    before = multiprocessing.active_children()
    with pytest.raises(ZeroDivisionError), Processes(2) as processes:  # noqa: PT012
        # Nobody waits for it: that is what is tested.
        processes.submit(time.sleep, 3000)
        raise ZeroDivisionError
    assert multiprocessing.active_children() == before


def test_a_worker_that_dies_is_told_in_a_line_of_ours() -> None:
    with Processes(1) as processes, pytest.raises(ConversionFailed, match="a worker process died"):
        list(processes.map(os._exit, [1]))


# With a second thread workers are not forked from the process that runs the script.
UNGUARDED = """
import sys, threading
from pathlib import Path
from bioscan5m_hf.errors import BioscanError
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.progress import SilentWatcher
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from conversion.verify.folder import VerifyOptions, verify

threading.Thread(target=threading.Event().wait, daemon=True).start()
given, output = map(Path, sys.argv[1:])
try:
    {call}
except BioscanError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("convert(ConvertOptions(given, output, 2), SilentWatcher())", "small_release"),
        ("verify(VerifyOptions(given, 2))", "converted"),
        ("write_sample(SampleOptions(output, 100, tiny=True, workers=2))", "small_release"),
    ],
)
def test_a_script_without_a_guard_is_told_so_in_one_line(
    call: str, given: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.format(call=call))
    words = [sys.executable, script, request.getfixturevalue(given), tmp_path / "output"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    [line] = done.stdout.splitlines()
    assert line.startswith("every worker process runs your script again from its beginning")
    assert line.endswith('; begin the work below a line if __name__ == "__main__":')


def test_results_come_in_order_and_few_are_held() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    with Processes(2) as processes:
        results = processes.map(abs, tasks())
        assert next(results) == 0
        assert len(taken) == 5
        assert [*results] == [*range(1, 40)]


def test_workers_are_spared_pandas() -> None:
    with Processes(1) as processes:
        assert not processes.submit(eval, "'pandas' in __import__('sys').modules").result()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process is deaf to")
def test_no_process_of_ours_hears_ctrl_c_or_the_end_of_the_terminal() -> None:
    program = """
import os, pathlib, signal
from multiprocessing import forkserver, resource_tracker
from conversion.executors.processes import Processes

def deaf(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    masks = [line.split()[1] for line in status.splitlines() if line[:6] in ("SigBlk", "SigIgn")]
    numbers = (signal.SIGINT, signal.SIGHUP)
    return [any(int(mask, 16) & 1 << number - 1 for mask in masks) for number in numbers]

with Processes(1) as processes:
    worker = processes.submit(os.getpid).result()
    others = forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid
    print(all(all(deaf(pid)) for pid in (worker, *others)), any(deaf(os.getpid())))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout == "True False\n"


# The resource tracker, the process that workers are forked from, and two workers.
@pytest.mark.parametrize("children", [1, 2, 3, 4])
@pytest.mark.parametrize("command", ["sample", "verify"])
def test_ctrl_c_is_for_the_parent_alone(
    command: str, children: int, converted: Path, tmp_path: Path
) -> None:
    words = {
        "sample": ("sample", tmp_path / "release", "-n", "20000", "--tiny", "--workers", "2"),
        "verify": ("verify", converted, "--images", "--workers", "2"),
    }
    program = Program(*words[command], anew=True)
    program.reaches_children(children)
    program.interrupt()
    # Where it was quicker than the interruption.
    assert program.wait() in {130, 0}
    assert not any(word in program.said for word in ("multiprocessing", "preload", "Processes"))
