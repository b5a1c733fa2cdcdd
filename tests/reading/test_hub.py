"""Repositories of the Hub, through the real clients of a process that knows only the stand-in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.forked import DATASETS, WARNED
from tests.hub.repository import Blob, Repository
from tests.hub.stand_in import HubStandIn, serve_hub
from tests.reading.conftest import Rows

RAW = "bioscan-ml/BIOSCAN-5M"
FORMATS = ("parquet", "arrow", "webdataset")
REPOSITORIES = {RAW: "zips", **{f"user/bioscan-5m-{form}": form for form in FORMATS}}
PRIVATE = "user/private"

PROGRAM = """
import hashlib, json, sys
import datasets
from bioscan5m_hf import BioscanError, load_dataset

datasets.disable_progress_bars()
for path, options in json.loads(sys.stdin.read()):
    try:
        ds = load_dataset(path, **options)
        if "image" in ds.features:
            ds = ds.cast_column("image", datasets.Image(decode=False))
        told = []
        for row in ds:
            image = row.pop("image", None)
            told.append([image and hashlib.sha256(image["bytes"]).hexdigest(), row])
    except BioscanError as error:
        told = f"{type(error).__name__}: {error}"
    print(json.dumps(told))
"""

Case = tuple[str, dict[str, Any]]


def put(hub: HubStandIn, name: str, root: Path, *, revision: str = "main") -> None:
    """Commit a folder to a repository."""
    storage = hub.storage
    repository = storage.repositories.setdefault(name, Repository(name))
    tree = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            below = path.relative_to(root).as_posix()
            tree[below] = Blob.of(data)
            if storage.upload_mode(below, len(data)) == "lfs":
                digest = hashlib.sha256(data).hexdigest()
                storage.objects[digest] = data
                tree[below] = Blob.pointer(digest, len(data))
    repository.commit(revision, tree, "put", request=False)


@pytest.fixture(scope="module")
def hub(forms: Path) -> Iterator[HubStandIn]:
    with serve_hub() as served:
        for name, form in REPOSITORIES.items():
            put(served, name, forms / form)
        yield served


def load(
    hub: HubStandIn,
    home: Path,
    cases: list[Case],
    token: str | None = None,
    before: str = "",
    **settings: str,
) -> list[Any]:
    """What a process finds that loads from the stand-in: rows, or the text of an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    done = forked.run(
        *("-c", WARNED + before + PROGRAM),
        libraries=DATASETS,
        env=kept | settings | own | ({"HF_TOKEN": token} if token else {}),
        text=json.dumps(cases),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def digested(rows: Rows) -> list[Any]:
    """Rows as the program prints them."""
    found = []
    for row in rows:
        plain = dict(row)
        image = plain.pop("image", None)
        found.append([image and hashlib.sha256(image["bytes"]).hexdigest(), plain])
    return found


def test_every_kind_of_repository_in_both_modes(
    hub: HubStandIn, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    cases: list[Case] = []
    wanted: list[Any] = []
    for name in REPOSITORIES:
        for path in (name, f"hf://datasets/{name}"):
            for streaming in (True, False):
                for package, split in (("cropped_256", "val"), (None, "train")):
                    options = {"split": split, "streaming": streaming}
                    cases.append((path, {"name": package or "metadata", **options}))
                    wanted.append(truth[package]["validation" if split == "val" else split])
    found = load(hub, tmp_path, cases)
    for case, rows, expected in zip(cases, found, wanted, strict=True):
        # Remote zips give their images in the order of the archive.
        assert sorted(rows, key=str) == sorted(digested(expected), key=str), case


def _only(forms: Path, folder: Path, package: str) -> Path:
    for name in (package, "metadata"):
        (folder / name).mkdir(parents=True)
        for path in (forms / "parquet" / name).iterdir():
            (folder / name / path.name).symlink_to(path)
    return folder


def test_revisions_and_who_may_read(
    hub: HubStandIn, forms: Path, truth: dict[str | None, dict[str, Rows]], tmp_path: Path
) -> None:
    for private in (False, True):
        name = PRIVATE if private else "user/versions"
        hub.storage.repositories[name] = Repository(name, private)
        put(hub, name, _only(forms, tmp_path / f"old-{private}", "original_256"), revision="v/1")
        put(hub, name, forms / "parquet")
    commit = hub.storage.repositories["user/versions"].refs["v/1"]
    old = {"name": "original_256", "split": "val", "streaming": True}
    new = {**old, "name": "cropped_256"}
    rows = {name: digested(truth[name]["validation"]) for name in ("original_256", "cropped_256")}
    token = {"token": "hf_reader"}
    cases: list[tuple[str, dict[str, Any], Any]] = [
        ("user/versions", new, rows["cropped_256"]),
        ("user/versions", {**old, "revision": "v/1"}, rows["original_256"]),
        ("user/versions", {**old, "revision": commit, "streaming": False}, rows["original_256"]),
        ("hf://datasets/user/versions", {**old, "revision": "v/1"}, rows["original_256"]),
        ("hf://datasets/user/versions@v%2F1", old, rows["original_256"]),
        ("user/versions", {**new, "revision": "v/1"}, "it has metadata, original_256"),
        ("user/versions", {**new, "revision": "v9"}, "has no revision"),
        (PRIVATE, {**new, **token}, rows["cropped_256"]),
        (PRIVATE, {**new, **token, "streaming": False}, rows["cropped_256"]),
        (PRIVATE, {**old, **token, "revision": "v/1"}, rows["original_256"]),
        (PRIVATE, new, "or it is private; check the name; for a private repository give"),
        (f"hf://datasets/{PRIVATE}", {**new, "token": "hf_wrong"}, "does not accept the token"),
        ("user/nothing", new, "no such repository"),
        ("hf://datasets/user/nothing", {**new, "streaming": False}, "no such repository"),
    ]
    found = load(hub, tmp_path, [(path, options) for path, options, _ in cases])
    for (path, options, expected), told in zip(cases, found, strict=True):
        if isinstance(expected, str):
            assert isinstance(told, str), (path, options)
            assert expected in told
            assert told.startswith("ReleaseNotFound"), told
        else:
            assert told == expected, (path, options)
    (signed_in,) = load(hub, tmp_path, [(PRIVATE, new)], token="hf_reader")
    assert signed_in == rows["cropped_256"]
