"""Rolling publication: through little disk, watched; killed and resumed."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

from conversion.folder.manifest import read_manifest
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.progress import SilentWatcher
from tests.hub.conftest import NAME, Client
from tests.hub.stand_in import Fault, HubStandIn
from tests.hub.test_publish import LOADING, local_digests, publish, remote_digests
from tests.inline import without_processes

SHARD = 60_000


def words(
    release: Path,
    output: Path,
    scratch: int,
    shard: int = SHARD,
    packages: Sequence[str] = ("cropped_256",),
) -> list[str]:
    options = ["--shard-size", f"{shard // 1000}kB", "--scratch", f"{scratch // 1000}kB"]
    options += [word for package in packages for word in ("--package", package)]
    return ["convert", str(release), "--output", str(output), "--publish", NAME, *options]


def without_publishing(
    release: Path,
    folder: Path,
    shard: int = SHARD,
    packages: Sequence[str] = ("cropped_256",),
) -> Path:
    """The same folder, made without publishing."""
    options = ConvertOptions(
        release, folder, 2, packages=tuple(packages), shard_bytes=shard, name=NAME
    )
    with without_processes():
        convert(options, SilentWatcher())
    return folder


class Watch:
    """Looks at how much a folder takes, again and again."""

    def __init__(self, folder: Path) -> None:
        self.most = 0
        self._folder = folder
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._ended.wait(0.002):
            # Files come and go while they are looked at.
            with contextlib.suppress(FileNotFoundError):
                paths = [path for path in self._folder.rglob("*") if path.is_file()]
                # The lists of images are gone before the first shard is made.
                sizes = (
                    path.stat().st_size for path in paths if not path.name.startswith("images-")
                )
                self.most = max(self.most, sum(sizes))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()


def test_all_goes_through_little_disk(
    hub: HubStandIn, client: Client, release: Path, tmp_path: Path
) -> None:
    output, more = tmp_path / "rolling", (800_000, ("cropped_256", "original_256"))
    status, _, err = client.run(*words(release, output, 10_000, *more))
    assert status == 2
    assert "allow at least --scratch" in err
    scratch = int(err.partition("--scratch ")[2].partition("MB")[0]) * 10**6
    plain = without_publishing(release, tmp_path / "plain", *more)
    assert sum(file.bytes for file in read_manifest(plain).files()) > 1.5 * scratch
    with Watch(output) as watch:
        status, _, err = client.run(*words(release, output, scratch, *more))
    assert status == 0, err
    assert 0.3 * scratch < watch.most <= scratch
    assert list(output.glob("*_256/*")) == []
    assert remote_digests(hub) == local_digests(plain)
    repository = hub.storage.repository(NAME)
    assert repository.log[-1] == "Publish BIOSCAN-5M"
    assert repository.log.count("Add shards of BIOSCAN-5M") > 1
    # No commit has a card without everything that the card names.
    trees = list(repository.commits.values())
    assert ["README.md" in tree for tree in trees] == [False] * (len(trees) - 1) + [True]
    received = hub.storage.received
    status, _, err = client.run(*words(release, output, scratch, *more))
    assert status == 0, err
    assert hub.storage.received == received
    assert len(repository.commits) == len(trees)
    publish(client, output)
    told = json.loads(client.python(LOADING.format(modes=[True])))
    assert sum(map(len, told.values())) == 2000


def test_killed_it_goes_on(
    hub: HubStandIn, client: Client, small_release: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rolling"
    plain = without_publishing(small_release, tmp_path / "plain")
    reached, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 5:
            reached.set()
            go_on.wait(60)

    hub.on_object = hold
    command = words(small_release, output, 40_000_000)
    with client.start(*command) as process:
        assert reached.wait(600)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    go_on.set()
    hub.on_object = lambda _number: None
    assert "README.md" not in hub.storage.repository(NAME).tree()
    status, _, err = client.run(*command)
    assert status == 0, err
    assert remote_digests(hub) == local_digests(plain)
    large = sum(blob.size for blob in hub.storage.repository(NAME).tree().values() if blob.sha256)
    most = max(file.bytes for file in read_manifest(plain).files())
    assert hub.storage.received <= large + most


def test_passing_faults_are_outlasted(
    hub: HubStandIn, client: Client, small_release: Path, tmp_path: Path
) -> None:
    hub.faults += [Fault("POST .*/commit/", 502), Fault("POST .*/commit/", 0)]
    status, _, err = client.run(*words(small_release, tmp_path / "rolling", 40_000_000))
    assert status == 0, err
    assert [fault.times for fault in hub.faults] == [0, 0]
    plain = without_publishing(small_release, tmp_path / "plain")
    assert remote_digests(hub) == local_digests(plain)


def test_what_stops_the_sending_stops_the_conversion(
    hub: HubStandIn, client: Client, small_release: Path, tmp_path: Path
) -> None:
    hub.faults.append(Fault("POST .*/commit/", 403, -1))
    output = tmp_path / "rolling"
    status, _, err = client.run(*words(small_release, output, 40_000_000))
    assert status == 1
    assert "does not allow it" in err
    assert not (output / "manifest.json").exists()


def test_scratch_goes_with_publish(client: Client, small_release: Path) -> None:
    status, _, err = client.run("convert", str(small_release), "--scratch", "20GB")
    assert status == 2
    assert "--scratch needs --publish" in err
