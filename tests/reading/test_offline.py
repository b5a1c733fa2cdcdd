"""Repositories of the Hub without a network: what was prepared or lies in the cache is there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import get, load_dataset
from bioscan5m_hf.errors import OutOfReach
from bioscan5m_hf.schema.columns import split_named
from bioscan5m_hf.schema.configurations import configuration_named
from bioscan5m_hf.sources.prepared import prepared_of, remember
from bioscan5m_hf.sources.resolve import open_data
from bioscan5m_hf.storage.path import RemotePath
from tests import forked
from tests.forked import DATASETS
from tests.hub.repository import Repository
from tests.hub.stand_in import HubStandIn, serve_hub
from tests.reading.conftest import Rows
from tests.reading.range_server import serve
from tests.reading.test_hub import RAW, digested, load, put

METADATA = configuration_named("metadata")
STORED = "user/stored"
VAL = {"name": "cropped_256", "split": "val"}
OFFLINE: tuple[dict[str, str], ...] = ({"HF_HUB_OFFLINE": "1"}, {"HF_DATASETS_OFFLINE": "1"}, {})


@pytest.fixture
def hub(forms: Path, request: pytest.FixtureRequest) -> Iterator[HubStandIn]:
    with serve_hub() as served:
        put(served, STORED, forms / request.param)
        put(served, RAW, forms / "zips")
        yield served


@pytest.mark.parametrize("hub", ["parquet", "arrow", "webdataset"], indirect=True)
def test_what_was_prepared_loads_without_the_network(
    hub: HubStandIn, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    wanted = digested(truth["cropped_256"]["validation"])
    assert load(hub, tmp_path, [(STORED, VAL)]) == [wanted]
    requests = len(hub.requests)
    for settings in OFFLINE[:2]:
        held, never = load(hub, tmp_path, [(STORED, VAL), ("user/never", VAL)], **settings)
        assert held == wanted
        assert "HF_HUB_OFFLINE or HF_DATASETS_OFFLINE" in never
    assert len(hub.requests) == requests
    hub.stop_answering()
    cases: list[tuple[str, dict[str, Any]]] = [
        (STORED, VAL),
        (f"hf://datasets/{STORED}", VAL),
        (STORED, {**VAL, "split": "test"}),
        (STORED, {**VAL, "streaming": True}),
        ("user/never", VAL),
    ]
    *found, other, streamed, never = load(hub, tmp_path, cases)
    assert found == [wanted, wanted]
    for told in (other, streamed):
        assert "was not prepared before" in told
    assert "the Hub's cache has no snapshot of it" in never


@pytest.mark.parametrize("hub", ["parquet"], indirect=True)
def test_a_release_that_was_prepared_loads_without_the_network(
    hub: HubStandIn, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    options = {**VAL, "class_labels": ["order"]}
    online = load(hub, tmp_path, [(RAW, VAL), (RAW, options)])
    assert sorted(online[0], key=str) == sorted(
        digested(truth["cropped_256"]["validation"]), key=str
    )
    hub.stop_answering()
    *held, other = load(
        hub, tmp_path, [(RAW, VAL), (RAW, options), (RAW, {**VAL, "split": "test"})]
    )
    assert held == online
    assert "was not prepared before" in other


def test_a_folder_behind_a_url_that_was_prepared_loads_without_its_server(
    forms: Path, tmp_path: Path
) -> None:
    with serve(forms / "parquet") as served:
        before = list(load_dataset(served.url, "metadata", split="val", cache_dir=tmp_path))
    program = (
        "import sys; from bioscan5m_hf import load_dataset\n"
        "print(len(load_dataset(sys.argv[1], 'metadata', split='val', cache_dir=sys.argv[2])))"
    )
    # In a process that has no connection to what served it.
    done = forked.run("-c", program, served.url, tmp_path, libraries=DATASETS)
    assert done.stdout == f"{len(before)}\n"
    assert "out of reach" in done.stderr


def test_what_several_note_at_once_is_all_noted(forms: Path, tmp_path: Path) -> None:
    with serve(forms / "parquet") as served:
        data = open_data(served.url)
        names = [split.name for split in data.splits(METADATA)]

        def note(name: str) -> None:
            remember(data, tmp_path, configuration=METADATA, splits=[split_named(name)])

        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(note, names))
        assert isinstance(data.root, RemotePath)
        noted = prepared_of(data.root, tmp_path)
    assert noted is not None
    for name in names:
        assert noted.digest(METADATA, split_named(name)) == data.digest(METADATA, split_named(name))


@pytest.mark.parametrize("hub", ["parquet"], indirect=True)
def test_a_snapshot_of_the_cache_loads_without_the_network(
    hub: HubStandIn, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    program = (
        "from huggingface_hub import snapshot_download\n"
        f"for name in ({STORED!r}, {RAW!r}):\n"
        "    snapshot_download(name, repo_type='dataset')"
    )
    load(hub, tmp_path, [], before=program)
    hub.stop_answering()
    wanted = digested(truth["cropped_256"]["validation"])
    cases = [
        (name, {**VAL, "streaming": streaming})
        for streaming in (True, False)
        for name in (STORED, RAW)
    ]
    for number, settings in enumerate(OFFLINE):
        # What one process has prepared is not there for the next.
        own = {**settings, "HF_DATASETS_CACHE": str(tmp_path / f"cache{number}")}
        found = load(hub, tmp_path, cases, **own)
        assert [sorted(rows, key=str) for rows in found] == [sorted(wanted, key=str)] * 4


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_snapshot_that_lacks_a_shard_is_told_by_the_repository(
    form: str, forms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "hub" / "datasets--user--stored"
    commit = "c" * 40
    shutil.copytree(forms / form, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    cache = tmp_path / "cache"
    val = load_dataset(STORED, "cropped_256", split="val", cache_dir=cache)
    (shard,) = (kept / "snapshots" / commit / "cropped_256").glob("validation-*")
    shard.unlink()
    uses: list[Callable[[], Any]] = [
        lambda: load_dataset(STORED, "cropped_256", split="val", cache_dir=tmp_path / "other"),
        lambda: [*load_dataset(STORED, "cropped_256", split="val", streaming=True)],
        lambda: get(STORED, val[0]["processid"], "cropped_256"),
    ]
    for use in uses:
        with pytest.raises(OutOfReach) as error:
            use()
        told = str(error.value)
        assert told.startswith(f"hf://datasets/{STORED}: the Hub's cache lacks 1 shard of ")
        assert f"the first is cropped_256/{shard.name}" in told
        assert str(tmp_path) not in told


@pytest.mark.parametrize("hub", ["parquet"], indirect=True)
def test_a_push_is_seen_where_the_hub_answers(
    hub: HubStandIn, forms: Path, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    metadata = {"name": "metadata", "split": "val"}
    (before,) = load(hub, tmp_path, [(STORED, metadata)])
    assert before == digested(truth[None]["validation"])
    hub.storage.repositories[STORED] = Repository(STORED)
    other = forms / "webdataset"
    put(hub, STORED, other)
    (after,) = load(hub, tmp_path, [(STORED, VAL)])
    assert after == digested(truth["cropped_256"]["validation"])


@pytest.mark.parametrize("hub", ["parquet"], indirect=True)
def test_a_gated_repository_is_told_as_gated(hub: HubStandIn, tmp_path: Path) -> None:
    hub.storage.repositories[STORED].gated = True
    cases = [(STORED, {**VAL, "streaming": streaming}) for streaming in (True, False)]
    for told in load(hub, tmp_path, cases, token="hf_other"):
        assert "the repository is gated" in told
        assert "token=" in told
