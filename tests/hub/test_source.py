"""A raw release in a repository of the Hub, converted from there."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from tests import forked
from tests.hub.conftest import NAME, Client
from tests.hub.stand_in import HubStandIn
from tests.processes import digests

UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo("user/raw", repo_type="dataset")
HfApi().upload_folder(repo_id="user/raw", repo_type="dataset", folder_path=sys.argv[1])
"""
OPTIONS = ("--package", "cropped_256", "--split", "val", "--split", "pretrain")


def test_a_repository_is_read_by_ranges(
    hub: HubStandIn, client: Client, small_release: Path, tmp_path: Path
) -> None:
    sent = forked.run("-c", UPLOAD, small_release, env=client.environment())
    assert sent.returncode == 0, sent.stderr
    for release, name in ((small_release, "local"), ("hf://datasets/user/raw", "hub")):
        output = tmp_path / name
        status, _, err = client.run("convert", str(release), "--output", str(output), *OPTIONS)
        assert status == 0, err
    assert digests(tmp_path / "hub") == digests(tmp_path / "local")
    # Directory and members of two archives, the metadata: no request for each image.
    reads = [line for line in hub.requests if line.startswith("GET") and ".zip" in line]
    assert 2 <= len(reads) < 30


def test_one_specimen_is_shown_with_a_handful_of_requests(
    hub: HubStandIn, client: Client, folder: Path
) -> None:
    status, _, err = client.run("publish", str(folder), NAME)
    assert status == 0, err
    for split in ("pretrain", "test_unseen"):
        path = next((folder / "metadata").glob(f"{split}-*"))
        name = pq.read_table(path)["processid"][0].as_py()
        hub.requests.clear()
        status, out, err = client.run("show", NAME, name)
        assert status == 0, err
        assert name in out
        shards = {line for line in hub.requests if "/cropped_256/" in line and "GET" in line}
        assert {f"/{split}-" in line for line in shards} == {True}
        assert len(hub.requests) <= 14
