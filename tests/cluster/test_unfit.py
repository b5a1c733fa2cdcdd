"""Clusters that cannot make the shards that are wanted: one line that says why."""

from __future__ import annotations

import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from bioscan5m_hf.errors import BioscanError, ClusterError
from conversion.executors.dask import ClusterOptions, ClusterPool
from conversion.executors.dask_scheduler import connect
from tests.cluster.dask_cluster import DaskCluster
from tests.conftest import Run


def test_without_the_library(
    small_release: Path, tmp_path: Path, run_anew: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(name='distributed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = ("convert", small_release, "--output", tmp_path / "out")
    refused = run_anew(*command, "--scheduler", "tcp://127.0.0.1:1", status=2)
    assert "pip install 'bioscan5m-hf[cluster]'" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_an_address_where_nobody_answers(
    small_release: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("conversion.executors.dask_scheduler._CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        # Connections are taken, and never answered.
        command = ("convert", small_release, "--output", tmp_path / "out")
        silent = call(*command, "--scheduler", f"127.0.0.1:{port}", status=1)
        assert f"tcp://127.0.0.1:{port}: what listens there does not answer" in silent.stderr
        assert not (tmp_path / "out").exists()
    with pytest.raises(ClusterError, match=r"no scheduler answers \(Connection refused\); start"):
        connect(f"tcp://127.0.0.1:{port}")


def test_what_answers_is_something_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(ClusterError, match="does not answer as a Dask scheduler"):
            connect(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        thread.join()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler that has no workers yet."""
    cluster = DaskCluster(tmp_path_factory.mktemp("unfit") / "dask")
    try:
        yield cluster
    finally:
        cluster.close()


def refusal(cluster: DaskCluster, release: Path, work: Path) -> BioscanError:
    """What a conversion that would work below a folder is told."""
    work.mkdir(parents=True)
    options = ClusterOptions(cluster.address, worker_timeout=0.5)
    versions = {name: version(name) for name in ("bioscan5m-hf", "pyarrow")}
    with pytest.raises(BioscanError) as caught:
        ClusterPool(options, work, release, versions, lambda _: None)
    # Nothing of it stays, on either side.
    assert not list(work.iterdir())
    return caught.value


def test_no_workers(cluster: DaskCluster, small_release: Path, tmp_path: Path) -> None:
    told = str(refusal(cluster, small_release, tmp_path / "out/.bioscan5m/work"))
    assert "there was no worker for 0.5 s" in told
    assert f"dask worker {cluster.address} --nthreads 1" in told


def test_a_worker_with_another_pyarrow(
    cluster: DaskCluster, small_release: Path, tmp_path: Path
) -> None:
    other = tmp_path / "site" / "pyarrow-1.2.3.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: pyarrow\nVersion: 1.2.3\n")
    worker = cluster.start_worker(PYTHONPATH=str(other.parent))
    try:
        [address] = cluster.workers()
        told = str(refusal(cluster, small_release, tmp_path / "out/.bioscan5m/work"))
        here = version("pyarrow")
        assert told.startswith(f"worker {address}: pyarrow is 1.2.3 there and {here} here")
        # And it is not a scheduler.
        with pytest.raises(ClusterError, match="is a Dask worker, not a scheduler"):
            connect(address)
    finally:
        cluster.end(worker)


def test_a_worker_without_the_project(
    cluster: DaskCluster, small_release: Path, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "conversion.py").write_text("raise ModuleNotFoundError('conversion')")
    worker = cluster.start_worker(slow=None, PYTHONSAFEPATH="1", PYTHONPATH=str(tmp_path / "site"))
    try:
        [address] = cluster.workers()
        told = str(refusal(cluster, small_release, tmp_path / "out/.bioscan5m/work"))
        assert told.startswith(f"worker {address}: cannot import what makes shards")
        assert "install bioscan5m-hf for the workers too" in told
    finally:
        cluster.end(worker)


def test_a_worker_without_the_release(cluster: DaskCluster, tmp_path: Path) -> None:
    worker = cluster.start_worker()
    try:
        [address] = cluster.workers()
        told = str(refusal(cluster, tmp_path / "nowhere", tmp_path / "out/.bioscan5m/work"))
        assert told.startswith(f"worker {address}: does not see {tmp_path / 'nowhere'}; put")
    finally:
        cluster.end(worker)


def test_a_worker_on_another_file_system(
    cluster: DaskCluster, small_release: Path, tmp_path: Path
) -> None:
    apart = ("unshare", "--mount", "--map-root-user")
    if subprocess.run([*apart, "true"], check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be set apart here")
    folder = tmp_path / "home"
    folder.mkdir()
    mount = f'mount -t tmpfs tmpfs {shlex.quote(str(folder))} && exec "$@"'
    worker = cluster.start_worker(before=(*apart, "sh", "-c", mount, "sh"))
    try:
        [address] = cluster.workers()
        told = str(refusal(cluster, small_release, folder / "out/.bioscan5m/work"))
        assert told.startswith(f"worker {address}: does not see the output folder {folder}/out; ")
        assert "put release and output on a file system that all workers share" in told
    finally:
        cluster.end(worker)
