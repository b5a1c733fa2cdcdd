"""Conversions on a real Dask cluster, whose processes are killed: the bytes of a local one."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from conversion.convert import ConvertOptions, convert
from conversion.pools.cluster import ClusterOptions
from conversion.sample import SampleOptions, write_sample
from tests.cluster.dask_cluster import DaskCluster, wait_until
from tests.conftest import Run, make_once
from tests.processes import Program, digests, leftovers

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


def partials(output: Path) -> list[Path]:
    return list(output.rglob("*.partial"))


class Recorder:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.reached_images: list[int] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, images: int, done: int) -> None:
        pass

    def reached(self, images: int) -> None:
        self.reached_images.append(images)

    def end(self) -> None:
        pass


def test_the_bytes_of_a_local_run_and_progress_within_a_shard(
    cluster: DaskCluster, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    recorder = Recorder()
    options = ConvertOptions(
        source, tmp_path / "out", workers=1, cluster=ClusterOptions(cluster.address)
    )
    summary = convert(options, recorder)
    assert digests(tmp_path / "out") == whole
    assert not leftovers(tmp_path / "out")
    seen = recorder.reached_images
    assert seen == sorted(seen)
    assert seen[-1] == SPECIMENS
    # Had shards counted only when they were whole, there would be nothing but sums of their rows.
    splits = summary.manifest.splits["cropped_256"].values()
    sums = {0}
    for shard in (shard for files in splits for shard in files.shards):
        sums |= {shard.rows + others for others in sums}
    assert set(seen) - sums


def test_a_worker_killed_in_the_middle_of_a_shard(
    cluster: DaskCluster, source: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    output = tmp_path / "out"
    victim = cluster.start_worker()
    program = Program(*command(source, output, cluster))
    program.wait_for("converting")
    # All three have a shard, and stay in the middle of it.
    wait_until(lambda: len(partials(output)) == 3)
    os.killpg(victim.pid, signal.SIGKILL)
    assert program.wait() == 0, program.said
    cluster.end(victim)
    assert digests(output) == whole
    assert not leftovers(output)
