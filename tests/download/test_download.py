from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.schema.columns import split_named
from bioscan5m_hf.schema.upstream import FILES, METADATA_ZIP, PublishedFile, mirror_named
from bioscan5m_hf.storage.inside import open_own, remove_if_empty
from bioscan5m_hf.storage.retry import Patience
from conversion.download.download import (
    PARTS_FOLDER,
    DownloadOptions,
    Presence,
    download,
)
from conversion.progress import SilentWatcher
from tests import inline
from tests.download.server import COMMIT, REPOSITORY, Handler, Server, cut_after, refuse
from tests.watched import Remembered

EVAL = "BIOSCAN_5M_cropped_256_eval.zip"
CONTENT = {
    METADATA_ZIP: random.Random(1).randbytes(200_000),
    EVAL: random.Random(2).randbytes(1_500_000),
}


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        server.site.files |= CONTENT
        yield server


def run(
    server: Server, *words: str | Path, status: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    with inline.environment(_environment(server) | environment):
        return inline.call("download", *words, status=status)


def _environment(server: Server) -> dict[str, str]:
    return os.environ | {
        "HF_ENDPOINT": server.url.rstrip("/"),
        "BIOSCAN5M_ZENODO_URL": f"{server.url}records/11973457/files/",
        "HF_TOKEN": "hf_secret",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_from_the_hub(server: Server, tmp_path: Path) -> None:
    server.site.faults = [refuse(503), cut_after(100_000)]
    done = run(server, "--split", "val", "--output", tmp_path / "release")
    assert contents(tmp_path / "release") == CONTENT
    assert "SHA-256" in done.stdout
    assert "fetched" in done.stdout
    fetched = {request.path for request in server.site.requests}
    assert fetched == {f"/datasets/{REPOSITORY}/resolve/{COMMIT}/images/{name}" for name in CONTENT}
    assert {request.authorization for request in server.site.requests} == {"Bearer hf_secret"}


def test_a_second_run_proves_and_fetches_nothing(server: Server, tmp_path: Path) -> None:
    run(server, "--split", "val", "--output", tmp_path)
    server.site.requests.clear()
    done = run(server, "--split", "val", "--output", tmp_path)
    assert "was there" in done.stdout
    assert not server.site.requests


def test_a_file_that_is_something_else_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / EVAL).write_bytes(b"mine")
    done = run(server, "--split", "val", "--output", tmp_path, status=1)
    assert "is there already, but has 4 bytes" in done.stderr
    assert contents(tmp_path) == {EVAL: b"mine"}


def test_a_dry_run_lists_and_writes_nothing(server: Server, tmp_path: Path) -> None:
    done = run(server, "--split", "val", "--output", tmp_path / "release", "--dry-run")
    assert EVAL in done.stdout
    assert "1.7 MB would be fetched; nothing was written" in done.stdout
    assert not (tmp_path / "release").exists()


def test_a_dry_run_from_zenodo_knows_the_published_lengths(server: Server, tmp_path: Path) -> None:
    words = ("--from", "zenodo", "--output", tmp_path, "--dry-run")
    done = run(server, "--split", "val", *words)
    assert "3.5 GB would be fetched" in done.stdout
    assert not server.site.requests
    for number, size in (("01", 20_000_000_000), ("02", 15_400_000_000)):
        name = f"BIOSCAN_5M_cropped_256_pretrain.{number}.zip"
        server.site.files[name], server.site.claimed[name] = b"x", size
    done = run(server, "--split", "pretrain", *words)
    assert "37.5 GB would be fetched" in done.stdout


def test_a_repository_without_the_archive(server: Server, tmp_path: Path) -> None:
    del server.site.files[EVAL]
    done = run(server, "--split", "val", "--output", tmp_path, status=1)
    assert f"there is no {EVAL}; archives there: {METADATA_ZIP}" in done.stderr


def test_a_hub_that_does_not_answer(server: Server, tmp_path: Path) -> None:
    done = run(server, "--output", tmp_path, status=1, HF_ENDPOINT="http://127.0.0.1:9")
    assert "the Hub cannot list its files" in done.stderr
    done = run(server, "--output", tmp_path, status=1, HF_ENDPOINT=f"{server.url}nowhere/at/all")
    assert "the Hub cannot list its files" in done.stderr


def test_a_missing_file_on_zenodo(server: Server, tmp_path: Path) -> None:
    del server.site.files[EVAL]
    done = run(server, "--from", "zenodo", "--split", "val", "--output", tmp_path, status=1)
    assert "error" in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".zip"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "ftp"), "valid names: hub, zenodo, drive"),
        (("--from", "drive"), "in a browser"),
        (("--package", "cropped_265"), "did you mean 'cropped_256'"),
        (("--split", "vall"), "did you mean 'val'"),
    ],
)
def test_wrong_usage(server: Server, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    assert told in run(server, *words, "--output", tmp_path, status=2).stderr
    assert not server.site.requests


def small(monkeypatch: pytest.MonkeyPatch, **changed: bytes) -> None:
    """The table, as if upstream had published these files."""
    for name, data in CONTENT.items():
        partition = None if name == METADATA_ZIP else "eval"
        package = None if name == METADATA_ZIP else "cropped_256"
        md5 = hashlib.md5(changed.get(name, data)).hexdigest()
        file = PublishedFile(name, package, partition, len(data), md5)
        monkeypatch.setitem(FILES, name, file)


def options(folder: Path) -> DownloadOptions:
    return DownloadOptions(
        mirror_named("zenodo"),
        ("cropped_256",),
        folder,
        (split_named("val"),),
        patience=Patience(attempts=3, pause=0.01, timeout=5.0),
    )


def test_from_zenodo(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch)
    server.site.faults = [refuse(429, Retry_After="0"), cut_after(100_000), cut_after(100_000)]
    items = download(options(tmp_path), SilentWatcher())
    assert contents(tmp_path) == CONTENT
    assert [item.remote.expected.description for item in items] == ["MD5", "MD5"]
    assert {item.presence for item in items} == {Presence.ABSENT}


def test_bytes_of_all_files_add_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch)
    server.site.faults = [cut_after(100_000)]
    length = sum(map(len, CONTENT.values()))
    for work in ("fetching, bytes", "proving 2 files, bytes"):
        watcher = Remembered()
        download(options(tmp_path), watcher)
        assert watcher.totals == {work: length}
        watcher.require_whole()


def test_another_download_that_ends_meanwhile_takes_no_folder_away(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch)
    ended: list[Path] = []

    def other(path: Path) -> int:
        if len(ended) < 2:
            ended.append(path)
            remove_if_empty(tmp_path / PARTS_FOLDER)
        return open_own(path)

    monkeypatch.setattr("bioscan5m_hf.files.lock.open_own", other)
    download(options(tmp_path), SilentWatcher())
    assert contents(tmp_path) == CONTENT


@pytest.mark.parametrize("begins", [True, False])
def test_another_download_that_begins_or_ends_at_the_end(
    begins: bool, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch)
    parts = tmp_path / PARTS_FOLDER

    def other(folder: Path) -> None:
        if begins:
            (folder / "other.part").touch()
        else:
            folder.rmdir()
        remove_if_empty(folder)

    monkeypatch.setattr("conversion.download.download.remove_if_empty", other)
    download(options(tmp_path), SilentWatcher())
    assert parts.exists() == begins
    assert {path.name for path in tmp_path.iterdir()} - {PARTS_FOLDER} == set(CONTENT)


def test_one_wrong_file_does_not_cost_the_other(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch, **{EVAL: b"another"})
    from bioscan5m_hf.errors import DownloadFailed

    with pytest.raises(DownloadFailed, match="another mirror"):
        download(options(tmp_path), SilentWatcher())
    assert not (tmp_path / EVAL).exists()
    small(monkeypatch)
    download(options(tmp_path), SilentWatcher())
    assert contents(tmp_path) == CONTENT


def test_too_little_room_is_told_before_the_start(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIOSCAN5M_ZENODO_URL", server.url)
    small(monkeypatch)
    monkeypatch.setitem(FILES, EVAL, PublishedFile(EVAL, "cropped_256", "eval"))
    server.site.claimed[EVAL] = 10**18
    with pytest.raises(OutputError, match=r"1,000,000\.0 TB are needed and .* are free"):
        download(options(tmp_path), SilentWatcher())
    assert len(server.site.requests) == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_is_taken_up(server: Server, tmp_path: Path) -> None:
    interrupted = threading.Event()

    def dawdle(handler: Handler, data: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:150_000])
        handler.wfile.flush()
        interrupted.wait(120)
        handler.close_connection = True
        return True

    server.site.faults = [dawdle, dawdle]
    words = ["-m", "conversion", "download", "--split", "val", "--output", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, *words],
        env=_environment(server),
        stderr=subprocess.PIPE,
        text=True,
    )
    parts = tmp_path / PARTS_FOLDER
    while (
        process.poll() is None
        and sum(path.stat().st_size for path in parts.glob("*.part")) < 300_000
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    interrupted.set()
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; run the same command again" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARTS_FOLDER]
    server.site.requests.clear()
    run(server, "--split", "val", "--output", tmp_path)
    assert contents(tmp_path) == CONTENT
    ranges = [request.range for request in server.site.requests]
    assert ranges == ["bytes=150000-", "bytes=150000-"]
