"""Conversions on a real Dask cluster, whose processes are killed: the bytes of a local one."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.cluster.dask_cluster import DaskCluster, wait_until
from tests.conftest import Run, make_once
from tests.processes import RELEASE_CSV, Program, digests, leftovers
from tests.watched import Remembered

SPECIMENS = 2400


@pytest.fixture(scope="module")
def source(shared: Path) -> Path:
    """A release whose shards are made of one to three blocks."""
    options = SampleOptions(
        shared / "cluster-release",
        SPECIMENS,
        seed=8,
        packages=("cropped_256",),
        tiny=True,
        distinct=24,
        workers=1,
    )
    return make_once(options.root, lambda _: write_sample(options))


@pytest.fixture(scope="module")
def whole(source: Path, shared: Path, run: Run) -> dict[str, str]:
    """The digests of a conversion on this machine."""
    output = make_once(
        shared / "cluster-local", lambda output: run("convert", source, "--output", output)
    )
    return digests(output)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler and two workers, for tests that leave them alive."""
    cluster = DaskCluster(tmp_path_factory.mktemp("cluster") / "dask")
    try:
        for _ in range(2):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.close()


def command(release: Path, output: Path, cluster: DaskCluster) -> tuple[str | Path, ...]:
    return ("convert", release, "--output", output, "--scheduler", cluster.address)


def in_the_middle(program: Program, output: Path, shards: int = 1) -> None:
    """Wait until so many workers have begun a shard, which takes them a while."""

    def begun() -> bool:
        found = len(begun_shards(output)) >= shards
        if not found and program.process.poll() is not None:
            raise AssertionError(f"it ended with {program.wait()} and said: {program.said}")
        return found

    wait_until(begun)


def begun_shards(output: Path) -> list[Path]:
    return list(output.glob(".bioscan5m/work/*/cropped_256/.*.partial"))


def partials(output: Path) -> list[Path]:
    return list(output.rglob("*.partial"))


class Recorder(Remembered):
    """Remembers notes too."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_the_bytes_of_a_local_run_and_progress_within_a_shard(
    cluster: DaskCluster, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    recorder = Recorder()
    options = ConvertOptions(source, tmp_path / "out", workers=1, scheduler=cluster.address)
    summary = convert(options, recorder)
    assert digests(tmp_path / "out") == whole
    assert not leftovers(tmp_path / "out")
    seen = recorder.counts["converting, images"]
    assert seen == sorted(seen)
    assert seen[-1] == SPECIMENS
    # Had shards counted only when they were whole, there would be nothing but sums of their rows.
    splits = summary.manifest.splits["cropped_256"].values()
    sums = {0}
    for shard in (shard for files in splits for shard in files.shards):
        sums |= {shard.rows + others for others in sums}
    assert set(seen) - sums


@pytest.mark.parametrize("nanny", [False, True])
def test_a_worker_killed_in_the_middle_of_a_shard(
    nanny: bool, cluster: DaskCluster, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    before = cluster.workers()
    victim = cluster.start_worker(*(["--nanny"] if nanny else []))
    [process] = set(cluster.workers().values()) - set(before.values())
    program = Program(*command(source, output, cluster))
    program.wait_for("converting")
    # All three have a shard, and stay in the middle of it.
    in_the_middle(program, output, 3)
    os.kill(process, signal.SIGKILL)
    assert program.wait() == 0, program.said
    cluster.end(victim)
    assert digests(output) == whole
    assert not leftovers(output)


def test_interrupted_then_killed_then_finished_without_the_cluster(
    cluster: DaskCluster, source: Path, tmp_path: Path, run: Run, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    program = Program(*command(source, output, cluster))
    in_the_middle(program, output)
    program.interrupt()
    assert program.wait() == 130
    last = program.said.splitlines()[-1]
    assert last == "bioscan5m: error: interrupted; run the same command again to go on"
    assert not partials(output)
    assert not list(output.glob(".bioscan5m/work"))
    program = Program(*command(source, output, cluster))
    in_the_middle(program, output, 2)
    program.process.kill()
    assert program.wait() == -signal.SIGKILL
    run("convert", source, "--output", output)
    assert digests(output) == whole
    # The workers have noticed by the time that they have done something else.
    run(*command(source, tmp_path / "another", cluster))
    assert digests(tmp_path / "another") == whole
    assert digests(output) == whole


def test_workers_with_several_threads_and_fewer_shards_at_a_time(
    cluster: DaskCluster, source: Path, tmp_path: Path, run: Run, whole: dict[str, str]
) -> None:
    worker = cluster.start_worker("--nthreads", "4", slow=0)
    run(*command(source, tmp_path / "out", cluster), "--workers", "9")
    cluster.end(worker)
    assert digests(tmp_path / "out") == whole


@pytest.fixture
def nervous(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler that gives no shard of a lost worker to another one."""
    cluster = DaskCluster(tmp_path / "dask", DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        yield cluster
    finally:
        cluster.close()


def test_a_worker_that_comes_back_when_all_is_over(
    nervous: DaskCluster, source: Path, tmp_path: Path, run: Run, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    zombie = nervous.start_worker(slow=2)
    program = Program(*command(source, output, nervous))
    in_the_middle(program, output)
    nervous.cut_off(zombie)
    nervous.start_worker(slow=0)
    assert program.wait() == 0, program.said
    assert digests(output) == whole
    # The names are the same, and what is in the files is another now.
    other = tmp_path / "release"
    shutil.copytree(source, other)
    table = other / RELEASE_CSV
    table.write_bytes(table.read_bytes().replace(b"Arthropoda", b"Arthropodo"))
    run("convert", other, "--output", output, "--restart")
    anew = digests(output)
    assert anew.keys() == whole.keys()
    assert anew != whole
    os.killpg(zombie.pid, signal.SIGCONT)
    zombie.wait(120)
    assert digests(output) == anew


def test_a_late_worker_that_is_not_fit_is_left_out(
    source: Path, whole: dict[str, str], nervous: DaskCluster, tmp_path: Path
) -> None:
    other = tmp_path / "site" / "pyarrow-1.2.3.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pyarrow\nVersion: 1.2.3\n")
    workers = [nervous.start_worker(slow=1)]
    program = Program(*command(source, tmp_path / "out", nervous))
    in_the_middle(program, tmp_path / "out")
    workers.append(nervous.start_worker(PYTHONPATH=str(other.parent)))
    assert program.wait() == 0, program.said
    assert "left out: worker " in program.said
    assert "pyarrow is 1.2.3 there" in program.said
    assert digests(tmp_path / "out") == whole
    for worker in workers:
        nervous.end(worker)


def test_a_cluster_that_grows_with_its_work(
    source: Path, whole: dict[str, str], tmp_path: Path, run: Run
) -> None:
    local = LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=":0",
        local_directory=str(tmp_path / "dask"),
    )
    with local as adaptive:
        adaptive.adapt(minimum=0, maximum=2, interval="200ms")
        run(
            *("convert", source, "--output", tmp_path / "out"),
            *("--scheduler", adaptive.scheduler_address),
        )
    assert digests(tmp_path / "out") == whole


def test_a_shard_that_costs_worker_after_worker_stops_the_run(
    nervous: DaskCluster, source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    program = Program(
        *command(source, output, nervous), "--worker-timeout", "300", "--split", "pretrain"
    )
    program.wait_for("has no workers; waiting")
    for _ in range(2):
        worker = nervous.start_worker()
        in_the_middle(program, output)
        nervous.end(worker)
        # What a killed worker leaves is not to be taken for what the next one has begun.
        for partial in begun_shards(output):
            partial.unlink()
    assert program.wait() == 1
    last = program.said.splitlines()[-1]
    assert "pretrain-00000-of-00001.parquet: this shard failed 2 times" in last
    assert "workers being lost over it" in last


def test_a_cluster_that_is_gone_stops_the_run(
    nervous: DaskCluster, source: Path, tmp_path: Path, run: Run, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    worker = nervous.start_worker()
    program = Program(*command(source, output, nervous), "--worker-timeout", "1")
    in_the_middle(program, output)
    nervous.end(worker)
    assert program.wait() == 1
    assert "there was no worker for 1 s; start one with" in program.said
    nervous.start_worker()
    program = Program(*command(source, output, nervous))
    in_the_middle(program, output)
    nervous.end(nervous.scheduler)
    assert program.wait() == 1
    [line] = [line for line in program.said.splitlines() if line.startswith("bioscan5m: ")]
    assert "the scheduler is gone; run the same command again" in line
    assert "Traceback" not in program.said
    assert not partials(output)
    run("convert", source, "--output", output)
    assert digests(output) == whole
