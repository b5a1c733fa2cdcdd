"""Publishing, against a served stand-in, with the real clients."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from pathlib import Path

import pytest

from bioscan5m_hf.sources.manifest import MANIFEST_NAME, STATE_FOLDER
from conversion.folder.manifest import read_manifest
from conversion.folder.state import KEPT_NAME
from conversion.pipeline.convert import convert
from conversion.pipeline.options import ConvertOptions
from conversion.progress import SilentWatcher
from tests.conftest import Run
from tests.hub.conftest import NAME, Client, large_bytes, shards_of
from tests.hub.repository import Blob, Repository
from tests.hub.stand_in import Fault, HubStandIn
from tests.inline import without_processes


def publish(client: Client, folder: Path, *options: str, token: str | None = "hf_writer") -> str:
    status, out, err = client.run("publish", str(folder), NAME, *options, token=token)
    assert status == 0, err
    return out


def refused(client: Client, folder: Path, *options: str, token: str | None = "hf_writer") -> str:
    status, out, err = client.run("publish", str(folder), NAME, *options, token=token)
    assert status == 1, out
    errors = [line for line in err.splitlines() if line.startswith("bioscan5m: error:")]
    assert len(errors) == 1
    return errors[0]


def remote_digests(hub: HubStandIn, revision: str = "main") -> dict[str, str]:
    storage = hub.storage
    tree = storage.repository(NAME).tree(revision)
    return {
        path: hashlib.sha256(storage.data_of(blob)).hexdigest()
        for path, blob in tree.items()
        if path != ".gitattributes"
    }


def local_digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != STATE_FOLDER
    }


def writes(hub: HubStandIn) -> list[str]:
    return [request for request in hub.requests if not request.startswith(("GET", "HEAD"))]


def test_a_folder_is_published_whole(hub: HubStandIn, client: Client, converted: Path) -> None:
    status, out, err = client.run_apart("publish", str(converted), NAME)
    assert status == 0, err
    assert "everything matches the manifest" in out
    assert remote_digests(hub) == local_digests(converted)
    assert hub.storage.repository(NAME).log == ["initial", "Publish BIOSCAN-5M"]
    assert hub.storage.received == large_bytes(converted)


def test_a_second_run_sends_nothing(hub: HubStandIn, client: Client, converted: Path) -> None:
    publish(client, converted)
    received = hub.storage.received
    hub.requests.clear()
    assert "0 uploaded now" in publish(client, converted)
    assert hub.storage.received == received
    asked = f"POST /api/datasets/{NAME}/preupload/main"
    assert writes(hub) == [asked, "POST /api/repos/create"]


def test_an_unchanged_folder_is_not_read_again(client: Client, folder: Path) -> None:
    publish(client, folder)
    for shard in shards_of(folder):
        # Same length, no bytes in it: reading it would find another digest.
        with (folder / shard).open("r+b") as file:
            file.truncate(0)
            file.truncate(next(f.bytes for f in read_manifest(folder).files() if f.path == shard))
    assert "0 uploaded now" in publish(client, folder)


@pytest.mark.parametrize("kept", [None, b"{"])
def test_a_folder_whose_digests_are_lost_is_read_again(
    hub: HubStandIn, client: Client, folder: Path, kept: bytes | None
) -> None:
    publish(client, folder)
    received = hub.storage.received
    digests = folder / STATE_FOLDER / KEPT_NAME
    before = digests.read_bytes()
    if kept is None:
        digests.unlink()
    else:
        digests.write_bytes(kept)
    assert "0 uploaded now" in publish(client, folder)
    assert hub.storage.received == received
    assert set(json.loads(digests.read_bytes())) <= set(json.loads(before))


def test_killed_amid_the_upload_it_goes_on(
    hub: HubStandIn, client: Client, converted: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 4:
            reached.set()
            go_on.wait(60)

    hub.on_object = hold
    with client.start("publish", str(converted), NAME) as process:
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    go_on.set()
    hub.on_object = lambda _number: None
    assert process.returncode == -signal.SIGKILL
    assert list(hub.storage.repository(NAME).tree()) == [".gitattributes"]
    publish(client, converted)
    assert remote_digests(hub) == local_digests(converted)
    largest = max(file.bytes for file in read_manifest(converted).files())
    assert hub.storage.received <= large_bytes(converted) + largest


def test_new_shards_replace_the_old_in_one_commit(
    hub: HubStandIn, client: Client, small_release: Path, converted: Path, tmp_path: Path
) -> None:
    publish(client, converted)
    other = tmp_path / "bioscan-5m"
    with without_processes():
        convert(ConvertOptions(small_release, other, 1, packages=("cropped_256",)), SilentWatcher())
    gone = set(shards_of(converted)) - set(shards_of(other))
    assert gone
    assert f"{len(gone)} removed" in publish(client, other)
    repository = hub.storage.repository(NAME)
    assert remote_digests(hub) == local_digests(other)
    for tree in repository.commits.values():
        assert not (gone & set(tree) and set(shards_of(other)) <= set(tree))
    assert len(repository.commits) == 3


def test_a_dry_run_changes_nothing(hub: HubStandIn, client: Client, converted: Path) -> None:
    out = publish(client, converted, "--dry-run", token=None)
    assert "would be made" in out
    assert f"send   {shards_of(converted)[0]}" in out
    assert writes(hub) == []
    assert hub.storage.repositories == {}


def test_private_stays_private(hub: HubStandIn, client: Client, converted: Path) -> None:
    publish(client, converted, "--private")
    assert hub.storage.repository(NAME).private
    hub.storage.repository(NAME).private = False
    assert "it is public" in refused(client, converted, "--private")


def test_a_branch_is_made(hub: HubStandIn, client: Client, converted: Path) -> None:
    publish(client, converted, "--revision", "v1")
    assert remote_digests(hub, "v1") == local_digests(converted)
    assert remote_digests(hub, "main") == {}


def test_a_pull_request_is_opened(hub: HubStandIn, client: Client, converted: Path) -> None:
    assert "/discussions/1" in publish(client, converted, "--create-pr")
    assert remote_digests(hub, "refs/pr/1") == local_digests(converted)
    assert remote_digests(hub, "main") == {}


def foreign_repository(hub: HubStandIn) -> Repository:
    repository = Repository(NAME)
    hub.storage.repositories[NAME] = repository
    tree = repository.tree() | {"README.md": Blob.of(b"# Mine\n"), "notes.txt": Blob.of(b"1")}
    repository.commit("main", tree, "mine", request=False)
    return repository


def test_a_foreign_repository_is_left_alone(
    hub: HubStandIn, client: Client, converted: Path
) -> None:
    repository = foreign_repository(hub)
    error = refused(client, converted)
    assert "did not put there: README.md, notes.txt" in error
    assert repository.log == ["initial", "mine"]
    publish(client, converted, "--keep-foreign")
    assert hub.storage.read(NAME, "notes.txt") == b"1"
    assert hub.storage.read(NAME, "README.md") == (converted / "README.md").read_bytes()
    publish(client, converted)
    assert "notes.txt" in repository.tree()
    assert "1 removed" in publish(client, converted, "--delete-foreign")
    assert remote_digests(hub) == local_digests(converted)


@pytest.mark.parametrize(
    ("token", "told"),
    [
        (None, "there is no token for the Hub"),
        ("hf_unknown", "the Hub does not accept the token"),
        ("hf_reader", "the token of user may only read"),
        ("hf_other", "somebody does not belong to user"),
    ],
)
def test_what_the_token_does_not_allow(
    hub: HubStandIn, client: Client, converted: Path, token: str | None, told: str
) -> None:
    assert told in refused(client, converted, token=token)
    assert hub.storage.repositories == {}


def test_passing_faults_are_outlasted(hub: HubStandIn, client: Client, converted: Path) -> None:
    hub.faults += [
        Fault("GET /api/whoami", 0),
        Fault("GET .*/tree/", 503),
        Fault("POST .*/objects/batch", 429, 1, {"Retry-After": "0"}),
        Fault("PUT /objects", 500),
        Fault("PUT /objects", 0),
        Fault("POST .*/commit/", 502),
        Fault("POST .*/commit/", 0),
    ]
    publish(client, converted)
    assert [fault.times for fault in hub.faults] == [0] * 7
    assert remote_digests(hub) == local_digests(converted)


@pytest.mark.parametrize(
    ("request_", "option", "told"),
    [
        ("POST .*/commit/", "--create-pr", "there is no 'commitUrl'"),
        ("GET /api/whoami", "--private", "there is no 'name'"),
    ],
)
def test_an_answer_that_lacks_what_the_client_expects(
    request_: str, option: str, told: str, hub: HubStandIn, client: Client, converted: Path
) -> None:
    hub.faults.append(Fault(request_, 200, -1))
    assert told in refused(client, converted, option)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (402, "no room left"),
        (403, "does not allow it"),
        (418, "the Hub refuses"),
        (500, "the Hub fails"),
        (429, "asks to slow down"),
    ],
)
def test_a_lasting_fault_is_explained(
    hub: HubStandIn, client: Client, converted: Path, status: int, told: str
) -> None:
    hub.faults.append(Fault("POST .*/commit/", status, -1, {"Retry-After": "0"}))
    assert told in refused(client, converted)


def test_no_network(hub: HubStandIn, client: Client, converted: Path) -> None:
    hub.faults.append(Fault(".", 0, -1))
    assert "cannot be reached" in refused(client, converted)


@pytest.mark.parametrize("name", ["bioscan-5m", "models/user/x", "user/a b", "a/b/c", "user/x.git"])
def test_wrong_names_are_wrong_usage(call: Run, converted: Path, name: str) -> None:
    assert "user/name" in call("publish", converted, name, status=2).stderr


def test_a_damaged_shard_is_not_published(hub: HubStandIn, client: Client, folder: Path) -> None:
    shard = folder / shards_of(folder)[1]
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    assert "differ from the manifest" in refused(client, folder)
    shard.unlink()
    assert "1 file missing both here and in the repository" in refused(client, folder)
    assert list(hub.storage.repository(NAME).tree()) == [".gitattributes"]


def test_an_unfinished_folder_is_not_published(client: Client, folder: Path) -> None:
    (folder / MANIFEST_NAME).unlink()
    assert "it has no manifest" in refused(client, folder)


LOADING = """
import hashlib, json
from datasets import Image, load_dataset
for streaming in {modes}:
    ds = load_dataset("user/bioscan-5m", "cropped_256", streaming=streaming)
    told = {{}}
    for split, rows in ds.items():
        rows = rows.cast_column("image", Image(decode=False))
        told[split] = [
            [row["processid"], hashlib.sha256(row["image"]["bytes"]).hexdigest()] for row in rows
        ]
    print(json.dumps(told))
"""


def test_what_was_published_loads(client: Client, converted: Path) -> None:
    publish(client, converted)
    told = client.python(LOADING.format(modes=[True, False])).splitlines()
    streamed, loaded = map(json.loads, told)
    assert streamed == loaded
    held = read_manifest(converted).splits["cropped_256"]
    assert {split: len(rows) for split, rows in loaded.items()} == {
        split: files.rows for split, files in held.items()
    }


def test_another_package_stays_in_the_repository(
    hub: HubStandIn, client: Client, small_release: Path, converted: Path, tmp_path: Path
) -> None:
    publish(client, converted)
    before = remote_digests(hub)
    other = tmp_path / "bioscan-5m"
    with without_processes():
        convert(
            ConvertOptions(small_release, other, 1, packages=("original_256",)), SilentWatcher()
        )
    gone = [path for path in before if path.startswith("cropped_256/")]
    for options in ((), ("--dry-run",)):
        error = refused(client, other, *options)
        assert "the repository has shards that this folder does not have: cropped_256/" in error
        assert "--delete-foreign" in error
    assert remote_digests(hub) == before
    publish(client, other, "--keep-foreign")
    after = remote_digests(hub)
    assert {path: after[path] for path in gone} == {path: before[path] for path in gone}
    assert f"{len(gone)} removed" in publish(client, other, "--delete-foreign")
    assert remote_digests(hub) == local_digests(other)


@pytest.mark.parametrize("kind", ["file", "folder", "manifest", "pipe"])
def test_only_what_lies_in_the_folder_is_published(
    hub: HubStandIn, client: Client, folder: Path, tmp_path: Path, kind: str
) -> None:
    name = {"folder": "assets", "manifest": MANIFEST_NAME}.get(kind, "vocabularies.parquet")
    (folder / name).rename(tmp_path / "private")
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to(tmp_path / "private")
    assert "only what lies in the folder is published" in refused(client, folder)
    assert hub.storage.repositories == {}


def test_convert_and_publish_is_refused_before_the_work(
    hub: HubStandIn, client: Client, small_release: Path, converted: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("convert", str(small_release), "--output", str(output), "--publish", NAME)
    scratch = ("--scratch", "40MB", "--shard-size", "60kB")

    def refuse(*options: str, told: str) -> None:
        for more in ((), scratch, ("--dry-run",)):
            status, _, err = client.run(*command, *options, *more)
            assert status != 0
            assert told in err
            assert not output.exists()

    refuse("--package", "cropped", told="cropped")
    assert hub.storage.repositories == {}
    status, _, err = client.run(*command, "--scratch", "1kB", "--shard-size", "60kB")
    assert status == 2, err
    assert hub.storage.repositories == {}
    repository = foreign_repository(hub)
    refuse(told="did not put there: README.md, notes.txt")
    assert repository.log == ["initial", "mine"]
    repository.private = False
    refuse("--private", told="it is public")
    del hub.storage.repositories[NAME]
    publish(client, converted)
    refuse("--package", "original_256", told="shards that this folder does not have: cropped_256/")


def test_a_dry_run_asks_the_hub_and_makes_nothing_there(
    hub: HubStandIn, client: Client, small_release: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ("convert", str(small_release), "--output", str(output), "--publish", NAME)
    status, out, err = client.run(*command, "--split", "val", "--dry-run")
    assert status == 0, err
    assert "validation" in out
    assert any("/whoami-v2" in request for request in hub.requests)
    assert hub.storage.repositories == {}
    assert not output.exists()


def test_a_folder_whose_files_have_other_lengths_is_not_published(
    client: Client, folder: Path
) -> None:
    for path in shards_of(folder)[:2]:
        (folder / path).write_bytes(b"cut")
    status, _, err = client.run("publish", str(folder), NAME, "--dry-run")
    assert status == 1
    assert "the manifest has a different length for 2 files" in err
