"""Dataset folders behind URLs, on real servers: the same bytes, killed and resumed, proved."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import fsspec
import pytest

from tests import forked, inline
from tests.conftest import Run, make_once
from tests.forked import DATASETS, Forked
from tests.processes import digests
from tests.reading.range_server import serve
from tests.remote.stores import BUCKET, S3, Ftp, serve_ftp, serve_s3, stall

OPTIONS = ("--package", "cropped_256", "--shard-size", "60kB", "--workers", "2")
LOADING = """
import sys
from datasets import load_dataset
shards = {"val": sys.argv[1] + "/cropped_256/validation-*.parquet"}
files = load_dataset("parquet", data_files=shards, split="val", streaming=True)
ours = __import__("bioscan5m_hf").load_dataset(sys.argv[1], split="val", streaming=True)
rows = [*files]
names = [row["processid"] for row in rows]
assert names and names == [row["processid"] for row in ours]
print(len(names), rows[0]["image"].size)
"""


class Cli:
    """The command line, with the settings of a store."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)

    def start(self, *words: str | Path) -> Forked:
        return Forked(
            *("-m", "conversion", *words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str | Path, status: int = 0) -> str:
        """Run a command in this process; returns all that it printed."""
        with inline.environment(self.environment) as patch:
            # Both keep what the environment said when they were asked first.
            patch.setattr(tempfile, "tempdir", None)
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            done = inline.call(*words, status=status)
        return done.stdout + done.stderr

    def run_apart(self, *words: str | Path) -> str:
        """Run a command in a process of its own; returns all that it printed."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=200)
        assert process.returncode == 0, f"{process.returncode}\n{out}\n{err}"
        return out + err

    def python(self, program: str, *words: str) -> str:
        done = forked.run("-c", program, *words, libraries=DATASETS, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with serve_s3() as server:
        yield server


@pytest.fixture
def cli(s3: S3, tmp_path: Path) -> Cli:
    (tmp_path / "tmp").mkdir()
    return Cli({**s3.environment(), "TMPDIR": str(tmp_path / "tmp")})


@pytest.fixture(scope="session")
def whole(small_release: Path, shared: Path, run: Run) -> dict[str, str]:
    """The digests of a conversion into a local folder."""
    output = make_once(
        shared / "url-whole",
        lambda folder: run("convert", small_release, "--output", folder, *OPTIONS),
    )
    return digests(output)


def held(s3: S3, name: str) -> dict[str, str]:
    """The digests of what the bucket holds of a folder."""
    objects = s3.objects(name)
    return {path: hashlib.sha256(data).hexdigest() for path, data in sorted(objects.items())}


def test_an_object_store_gets_the_same_bytes(
    s3: S3, cli: Cli, small_release: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    url = f"s3://{BUCKET}/same"
    told = cli.run_apart("convert", small_release, "--output", url, *OPTIONS)
    assert held(s3, "same") == whole
    assert url in told
    assert str(tmp_path) not in told.replace(str(small_release), "")
    assert list((tmp_path / "tmp").iterdir()) == []
    # Once more: nothing is made, nothing is sent.
    again = cli.run("convert", small_release, "--output", url, *OPTIONS)
    assert "0 shards made" in again
    assert "sent" not in again
    assert held(s3, "same") == whole
    assert "everything matches the manifest" in cli.run("verify", url, "--release", small_release)
    count, size = cli.python(LOADING, url).split(maxsplit=1)
    assert int(count) > 0
    assert size.startswith("(")


def test_verify_finds_what_was_changed_in_a_store(s3: S3, cli: Cli, small_release: Path) -> None:
    url = f"s3://{BUCKET}/changed"
    cli.run("convert", small_release, "--output", url, *OPTIONS, "--split", "val")
    client = s3.client()
    shard = next(name for name in held(s3, "changed") if name.startswith("cropped_256/"))
    data = bytearray(s3.objects("changed")[shard])
    data[len(data) // 2] ^= 1
    client.put_object(Bucket=BUCKET, Key=f"changed/{shard}", Body=bytes(data))
    client.put_object(Bucket=BUCKET, Key="changed/cropped_256/more.parquet", Body=b"?")
    told = cli.run("verify", url, status=1)
    assert f"{shard}: its bytes were changed" in told
    assert "more.parquet: is not in the manifest" in told
    client.delete_object(Bucket=BUCKET, Key=f"changed/{shard}")
    assert f"{shard}: is missing" in cli.run("verify", url, status=1)
    client.delete_object(Bucket=BUCKET, Key="changed/manifest.json")
    assert "has no manifest" in cli.run("verify", url, status=1)


def test_killed_amid_an_upload_it_goes_on(
    s3: S3, cli: Cli, small_release: Path, whole: dict[str, str]
) -> None:
    url = f"s3://{BUCKET}/killed"
    command = ("convert", small_release, "--output", url, *OPTIONS)
    with stall(s3.port, after=4) as before:
        direct = cli.environment
        cli.environment = direct | s3.environment(before.port)
        with cli.start(*command) as process:
            assert before.stalled.wait(120)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        cli.environment = direct
    found = held(s3, "killed")
    shards = {name: digest for name, digest in found.items() if name.startswith("cropped_256/")}
    # What is there is whole, and nothing tells of a finished folder.
    assert len(shards) == 3
    assert shards.items() <= whole.items()
    assert "manifest.json" not in found
    assert "README.md" not in found
    told = cli.run(*command)
    assert "resuming: 3 of" in told
    for name in shards:
        assert f"{name}: sent" not in told
    assert held(s3, "killed") == whole


def test_packages_are_added_and_made_anew(
    s3: S3, cli: Cli, small_release: Path, tmp_path: Path, call: Run
) -> None:
    url, local = f"s3://{BUCKET}/added", tmp_path / "local"
    steps = [
        ("--package", "cropped_256", "--split", "val", "--shard-size", "60kB"),
        ("--package", "cropped_256", "--restart", "--shard-size", "100kB"),
    ]
    for step in steps:
        words = ("--workers", "2", *step)
        cli.run("convert", small_release, "--output", url, *words)
        call("convert", small_release, "--output", local, *words)
        assert held(s3, "added") == digests(local)
    told = cli.run("convert", small_release, "--output", url, "--shard-size", "60kB", status=1)
    assert f"{url}: what this folder holds was made from different input" in told
    assert held(s3, "added") == digests(local)
    told = cli.run("convert", small_release, "--output", url, "--format", "arrow", status=1)
    assert f"--output {url}-arrow" in told


def test_the_disk_is_bounded(s3: S3, cli: Cli, small_release: Path, whole: dict[str, str]) -> None:
    command = ("convert", small_release, "--output", f"s3://{BUCKET}/bounded", *OPTIONS)
    told = cli.run(*command, "--scratch", "10kB", status=2)
    least = told.partition("--scratch ")[2].partition(",")[0]
    cli.run(*command, "--scratch", least)
    assert held(s3, "bounded") == whole


def test_what_stands_in_the_way_is_one_line(
    s3: S3, cli: Cli, small_release: Path, call: Run
) -> None:
    def refused(url: str, **changed: str) -> str:
        before = cli.environment
        cli.environment = before | changed
        told = cli.run("convert", small_release, "--output", url, *OPTIONS, status=1)
        cli.environment = before
        return told

    s3.client().put_object(Bucket=BUCKET, Key="foreign/theirs.txt", Body=b"theirs")
    assert "this program did not make it (it holds theirs.txt)" in refused(f"s3://{BUCKET}/foreign")
    assert held(s3, "foreign").keys() == {"theirs.txt"}
    assert "nothing is at this address" in refused("s3://no-such-bucket/folder")
    assert "no answer" in refused(
        f"s3://{BUCKET}/x", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"
    )
    # Whatever the server.
    for url, told, *words in (
        ("hf://datasets/user/name", "--publish user/name"),
        ("https://host/folder", "cannot write to a web server"),
        ("gs://bucket/folder", "pip install gcsfs"),
        (f"s3://{BUCKET}/x", "name a folder with --output", "--publish", "u/n"),
    ):
        command = ("convert", small_release, "--output", url, *OPTIONS, *words)
        assert told in call(*command, status=2).stderr


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[Ftp]:
    root = tmp_path / "served"
    root.mkdir()
    with serve_ftp(root) as server:
        yield server


def test_a_store_that_renames_never_shows_half_a_file(
    ftp: Ftp, small_release: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    cli = Cli({**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    command = ("convert", small_release, "--output", f"{ftp.url}/made", *OPTIONS)
    folder = ftp.root / "made"
    ftp.slow_down(100_000)
    with cli.start(*command) as process:
        while not any(folder.glob("cropped_256/.*.partial")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    ftp.slow_down(0)
    found = {name: digest for name, digest in digests(folder).items() if "/." not in f"/{name}"}
    assert found.items() <= whole.items()
    assert any(folder.glob("cropped_256/.*.partial"))
    told = cli.run(*command)
    assert digests(folder) == whole
    assert ":word@" not in told
    assert "everything matches the manifest" in cli.run("verify", f"{ftp.url}/made")
    reader = ftp.url.replace("user:", "reader:")
    told = cli.run("convert", small_release, "--output", f"{reader}/other", *OPTIONS, status=1)
    assert "cannot be written" in told
    assert "ftp://reader:***@" in told


def test_from_a_url_to_a_url(s3: S3, cli: Cli, small_release: Path, whole: dict[str, str]) -> None:
    with serve(small_release) as served:
        cli.run("convert", served.url, "--output", f"s3://{BUCKET}/both", *OPTIONS)
    assert held(s3, "both") == whole
    # And from a release that lies in the bucket itself.
    client = s3.client()
    for path in small_release.iterdir():
        if path.is_file():
            client.put_object(Bucket=BUCKET, Key=f"raw/{path.name}", Body=path.read_bytes())
    cli.run("convert", f"s3://{BUCKET}/raw", "--output", f"s3://{BUCKET}/within", *OPTIONS)
    assert held(s3, "within") == whole
    told = cli.run(
        "convert", f"s3://{BUCKET}/raw", "--output", f"s3://{BUCKET}/raw/out", *OPTIONS, status=1
    )
    assert "must not lie within each other" in told
