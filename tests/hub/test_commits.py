"""In which commits a publication appears, how far it is told to be, and who may make it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from conversion.files.atomic import Written
from conversion.upload import publish as publishing
from conversion.upload.comparison import Comparison
from conversion.upload.hub import LocalFile
from conversion.upload.permissions import refusal_of
from conversion.upload.publish import PublishOptions, steps
from conversion.upload.sent_bytes import reporting_xet_uploads
from tests.hub.conftest import NAME, Client
from tests.hub.repository import Repository
from tests.hub.stand_in import Fault, HubStandIn
from tests.hub.test_publish import local_digests, publish, refused, remote_digests
from tests.watched import Remembered

MOST = 19


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """Commits of few files, since the folder has some forty."""
    monkeypatch.setattr(publishing, "_MOST_FILES", MOST)
    return MOST


def trees(repository: Repository) -> list[dict[str, Any]]:
    return list(repository.commits.values())


def added(repository: Repository) -> list[int]:
    """How many files each commit brought."""
    found = trees(repository)
    return [
        len([p for p in after if after[p] != before.get(p)])
        for before, after in itertools.pairwise(found)
    ]


def test_card_and_manifest_come_last(
    hub: HubStandIn, client: Client, converted: Path, few: int
) -> None:
    publish(client, converted)
    repository = hub.storage.repository(NAME)
    assert len(added(repository)) > 1
    assert max(added(repository)) <= few
    *first, last = trees(repository)
    for tree in first:
        assert all(path.endswith(".parquet") for path in tree if path != ".gitattributes")
        assert not {"README.md", MANIFEST_NAME, "vocabularies.parquet"} & set(tree)
    assert {"README.md", MANIFEST_NAME} <= set(last)
    assert remote_digests(hub) == local_digests(converted)
    assert repository.log[1:] == ["Add shards of BIOSCAN-5M"] * (len(first) - 1) + [
        "Publish BIOSCAN-5M"
    ]
    assert "0 uploaded now" in publish(client, converted)


def test_between_two_commits_it_goes_on(
    hub: HubStandIn, client: Client, converted: Path, few: int
) -> None:
    def fail_later(number: int) -> None:
        if number == few + 1:
            hub.faults.append(Fault("POST .*/commit/", 418))

    hub.on_object = fail_later
    assert "the Hub refuses" in refused(client, converted)
    repository = hub.storage.repository(NAME)
    assert added(repository) == [few]
    hub.requests.clear()
    publish(client, converted)
    assert remote_digests(hub) == local_digests(converted)
    assert max(added(repository)) <= few
    # What is there already, or was sent and not shown, is not sent again.
    assert not [request for request in hub.requests if request.startswith("PUT /objects")][few:]


def test_a_pull_request_of_several_commits(
    hub: HubStandIn, client: Client, converted: Path, few: int
) -> None:
    status, out, err = client.run("publish", str(converted), NAME, "--create-pr")
    assert status == 0, err
    assert out.startswith(f"{hub.endpoint}/datasets/{NAME}/discussions/1: ")
    assert "go on with --revision refs/pr/1" in err
    repository = hub.storage.repository(NAME)
    assert set(repository.refs) == {"main", "refs/pr/1"}
    assert max(added(repository)) <= few
    assert remote_digests(hub, "refs/pr/1") == local_digests(converted)
    assert remote_digests(hub) == {}


def local(path: str) -> LocalFile:
    return LocalFile(path, Path(path), Written(1, "0" * 32))


def test_what_replaces_much_is_not_advertised_meanwhile() -> None:
    shards = [f"cropped_256/train-{n:05}-of-00250.parquet" for n in range(250)]
    paths = (*shards, "README.md", MANIFEST_NAME)
    missing = tuple(map(local, paths))
    stale = ("cropped_256/train-00000-of-00001.parquet",)
    few = Comparison("0", missing, stale, (), frozenset((*shards[:50], "README.md")))
    told = [(len(step.files), step.removed) for step in steps(few)]
    # Fifty that replace others come with the card.
    assert told == [(100, ()), (100, ()), (52, stale)]
    assert {file.path for file in steps(few)[-1].files} == {*shards[:50], *paths[-2:]}
    many = replace(few, replaced=frozenset((*shards, "README.md")))
    told = [(len(step.files), step.removed) for step in steps(many)]
    assert told == [(100, ("README.md",)), (100, ()), (50, ()), (2, stale)]
    together = [file.path for step in steps(many) for file in step.files]
    assert sorted(together) == sorted(paths)


def test_bytes_are_told_within_a_file(client: Client, folder: Path) -> None:
    with client.here():
        watching = Remembered()
        publishing.publish(PublishOptions(folder, NAME), watching)
    told = watching.counts["sending, bytes"]
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) - sum(
        path.stat().st_size for path in (folder / ".bioscan5m").rglob("*") if path.is_file()
    )
    assert told == sorted(told)
    assert told[-1] == total
    files = len(local_digests(folder))
    assert len(set(told)) > files


def test_as_json_and_quietly(hub: HubStandIn, client: Client, converted: Path) -> None:
    words = ("publish", str(converted), NAME)
    planned = json.loads(client.run(*words, "--dry-run", "--json")[1])
    assert planned["made"]
    told = json.loads(client.run(*words, "--json")[1])
    assert told["url"] == f"{hub.endpoint}/datasets/{NAME}"
    assert told["sent"] == told["files"] == len(planned["send"])
    assert client.run(*words, "--quiet") == (0, "", "")
    # What there is to say beside the document goes to the other stream.
    status, _, err = client.run(*words, "--json")
    assert (status, err) == (0, f"publishing {converted} as user\n")


def test_the_hubs_own_storage_tells_too() -> None:
    from huggingface_hub.utils import _xet_progress_reporting as reporting
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars

    disable_progress_bars()
    before, told = reporting.XetUploadProgressReporter, list[int]()
    with reporting_xet_uploads(told.append):
        assert not are_progress_bars_disabled()
        made = reporting.XetUploadProgressReporter()
        made.update_progress(SimpleNamespace(total_bytes_completed=7), {})
        made.close()  # type: ignore[no-untyped-call]
    assert told == [7]
    assert reporting.XetUploadProgressReporter is before
    assert are_progress_bars_disabled()


# ------------------------------------------------------------------------------------ who may


def fine(*permissions: str) -> dict[str, Any]:
    return {"role": "fineGrained", "fineGrained": {"scoped": [{"permissions": [*permissions]}]}}


@pytest.mark.parametrize(
    ("token", "orgs", "request_", "told"),
    [
        ({"role": "write"}, [], False, "ann does not belong to lab"),
        ({"role": "write"}, [], True, None),
        ({"role": "write"}, [{"name": "Lab", "roleInOrg": "write"}], False, None),
        ({"role": "write"}, [{"name": "lab", "roleInOrg": "read"}], False, "belongs to lab"),
        ({"role": "write"}, None, False, None),
        ({"role": "read"}, [], True, "may only read"),
        (fine("repo.content.read"), [], False, "may not write to any"),
        (fine("repo.write"), [], False, None),
        ({}, None, False, None),
    ],
)
def test_what_a_token_tells(
    token: dict[str, Any], orgs: list[Any] | None, request_: bool, told: str | None
) -> None:
    answer = {"name": "ann", "orgs": orgs, "auth": {"accessToken": token}}
    found = refusal_of(answer, "lab/data", request=request_)
    assert (found is None) if told is None else (found is not None and told in found)


def test_a_token_that_may_not_write_is_found_before_the_work(
    hub: HubStandIn, client: Client, small_release: Path, converted: Path, tmp_path: Path
) -> None:
    publish(client, converted)
    hub.roles["hf_reader"] = fine("repo.write")
    hub.requests.clear()
    # It looks as if it might, but the repository says otherwise.
    assert "the token does not allow it" in refused(client, converted, token="hf_reader")
    output = tmp_path / "out"
    command = ("convert", str(small_release), "--output", str(output), "--publish", NAME)
    for token, more in itertools.product(("hf_reader", "hf_other"), ((), ("--dry-run",))):
        status, _, err = client.run(*command, *more, token=token)
        assert status == 1
        (line,) = err.splitlines()
        assert line.startswith("bioscan5m: error: ")
        assert not output.exists()
    assert not any("/commit/" in request for request in hub.requests)


def test_others_open_a_pull_request(hub: HubStandIn, client: Client, folder: Path) -> None:
    publish(client, folder)
    hub.storage.repository(NAME).refs["main"] = next(iter(hub.storage.repository(NAME).commits))
    status, out, err = client.run("publish", str(folder), NAME, "--create-pr", token="hf_other")
    assert status == 0, err
    assert "/discussions/1" in out
    assert remote_digests(hub, "refs/pr/1") == local_digests(folder)


@pytest.mark.parametrize("kind", ["private", "gated"])
def test_a_repository_that_not_everybody_reads(
    hub: HubStandIn, client: Client, folder: Path, kind: str
) -> None:
    hub.storage.repositories[NAME] = Repository(NAME, kind == "private", kind == "gated")
    publish(client, folder)
    # The manifest is read, to know whose the files are.
    assert "0 uploaded now" in publish(client, folder)
    assert remote_digests(hub) == local_digests(folder)
    error = refused(client, folder, token="hf_other")
    assert "does not belong to user" in error
