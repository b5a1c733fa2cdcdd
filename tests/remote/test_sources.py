"""Releases behind URLs, converted over real servers: the same bytes, few requests, no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.conftest import Run, make_once
from tests.processes import digests, leftovers
from tests.reading.range_server import Served, serve

PRETRAIN = "BIOSCAN_5M_cropped_256_pretrain.zip"
METADATA = "BIOSCAN_5M_Insect_Dataset_metadata_MultiTypes.zip"
OPTIONS = ("--shard-size", "1MB", "--workers", "2")


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """A release with its metadata in their zip."""

    def make(root: Path) -> None:
        write_sample(
            SampleOptions(
                root,
                1_500,
                seed=9,
                workers=2,
                distinct=8,
                packages=("cropped_256", "original_256"),
                metadata=("zip",),
            )
        )

    return make_once(shared / "remote-source", make)


@pytest.fixture(scope="session")
def whole(source: Path, shared: Path, run: Run) -> dict[str, str]:
    """The digests of a conversion of the same release from the disk."""
    output = make_once(
        shared / "remote-whole",
        lambda output: run("convert", source, "--output", output, *OPTIONS),
    )
    return digests(output)


@pytest.fixture(params=[True, False], ids=["listed", "probed"])
def served(source: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    with serve(source, lists=request.param) as found:
        yield found


def test_the_same_bytes_with_few_requests(
    served: Served, source: Path, whole: dict[str, str], tmp_path: Path, run: Run
) -> None:
    output = tmp_path / "out"
    run("convert", served.url, "--output", output, *OPTIONS)
    assert digests(output) == whole
    assert not leftovers(output)
    size = (source / PRETRAIN).stat().st_size
    traffic = served.traffic
    assert size < traffic.sent(PRETRAIN) < 1.05 * size
    # The directory, and one or two requests for each shard.
    shards = sum("cropped_256/pretrain-" in name for name in whole)
    assert shards > 5
    assert traffic.count(PRETRAIN) <= 2 * shards + 4
    # The csv is read out of the zip, the JSON-LD beside it is not.
    assert traffic.sent(METADATA) < (source / METADATA).stat().st_size


def test_less_is_held_and_more_is_asked_for(
    source: Path, whole: dict[str, str], tmp_path: Path, call: Run
) -> None:
    with serve(source, lists=True) as served:
        call("convert", served.url, "--output", tmp_path / "out", *OPTIONS, "--read-ahead", "1MB")
        largest = max(size for _, path, size in served.traffic.requests if path.endswith(PRETRAIN))
    assert digests(tmp_path / "out") == whole
    # But for the directory, which comes in one piece, requests are small where little is held.
    assert largest < 400_000


def test_a_local_conversion_goes_on_from_a_url(
    source: Path, whole: dict[str, str], tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "out"
    call("convert", source, "--output", output, *OPTIONS, "--package", "cropped_256")
    with serve(source, lists=True) as served:
        done = call("convert", served.url, "--output", output, *OPTIONS)
        assert " already there" in done.stdout
        # Of what is there already, only the directory was read.
        assert served.traffic.sent(PRETRAIN) < 0.2 * (source / PRETRAIN).stat().st_size
    assert digests(output) == whole


def test_inspect_and_verify_read_a_url(
    served: Served, source: Path, tmp_path: Path, call: Run
) -> None:
    told = call("inspect", served.url).stdout
    assert told == call("inspect", source).stdout
    assert served.traffic.sent(PRETRAIN) < 0.2 * (source / PRETRAIN).stat().st_size
    output = tmp_path / "out"
    call("convert", source, "--output", output, "--package", "cropped_256", "--split", "val")
    call("verify", output, "--release", served.url)
    shard = next((output / "cropped_256").glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    call("verify", output, "--release", served.url, status=1)


def test_what_is_wrong_with_a_url_is_one_line(
    source: Path, tmp_path: Path, call: Run, run: Run
) -> None:
    output = ("--output", tmp_path / "out")
    with serve(source) as served:
        url = served.url
        assert "no images of BIOSCAN-5M" in call("inspect", f"{url}/nothing", status=1).stderr
    # In a process of its own: this one still has a connection to what served it.
    assert "cannot be re" in run("convert", url, *output, status=1).stderr
    with serve(source, ranges=False, lists=True) as served:
        # What the server says of a connection that breaks off would stand here too.
        told = run("convert", served.url, *output, status=1).stderr
        assert "does not serve ranges" in told
    told = call("convert", "sftp://host/raw", *output, status=2).stderr
    assert "pip install paramiko" in told
    told = call("convert", "nosuchscheme://host/raw", *output, status=2).stderr
    assert "cannot be read" in told
    assert not (tmp_path / "out").exists()


def test_a_busy_server_is_asked_again(source: Path, tmp_path: Path, call: Run) -> None:
    with serve(source) as served:
        served.failures.extend([1, 1])
        call("convert", served.url, "--output", tmp_path / "out", "--split", "val", *OPTIONS)
        assert not served.failures
