"""What a manifest may say: every type, name and path is checked where it is read."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioscan5m_hf.errors import ForeignFolder, MetadataError
from bioscan5m_hf.sources.dataset_folder import open_folder
from bioscan5m_hf.sources.manifest import MANIFEST_BYTES, MANIFEST_NAME, parse_manifest
from conversion.derive.recipe import Recipe
from conversion.folder.manifest import (
    DerivedRecord,
    Manifest,
    ShardFile,
    SourceRecord,
    SplitFiles,
    read_manifest,
)

XXH3 = "0123456789abcdef" * 2


def whole() -> Manifest:
    def files(configuration: str, split: str) -> SplitFiles:
        path = f"{configuration}/{split}-00000-of-00001.parquet"
        return SplitFiles(3, 30, 1, 500, (ShardFile(path, 3, 40, XXH3),))

    source = SourceRecord(("BIOSCAN_5M_cropped_256_train.zip",), "0af3")
    return Manifest(
        "parquet",
        "1.0",
        {"pyarrow": "26.0.0"},
        {
            "cropped_256": {"train": files("cropped_256", "train")},
            "metadata": {"train": files("metadata", "train")},
        },
        {"README.md": ShardFile("README.md", 0, 5, XXH3)},
        {"missing-image": 1},
        {"cropped_256": {"train": source}, "metadata": {"all": source}},
        "user/bioscan-5m",
        {
            "cropped_256": DerivedRecord(
                Recipe("cropped_256", "cropped", False, 256, 75, "catmull-rom"),
                {"simplejpeg": ("1.0", "1.1")},
            )
        },
    )


WHOLE: dict[str, Any] = json.loads(whole().to_json())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a manifest, but for the one that tells how it is digested."""
    if path:
        yield path
    below: Any = ()
    if isinstance(value, dict | list):
        below = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in below:
        yield from places(item, (*path, name))


def test_what_is_written_is_read() -> None:
    assert Manifest.from_json(whole().to_json()) == whole()


OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 1.5, float("inf"), 2**70, "", "\x1b[2J", [], [[]], {}, {"": 1}]
)


@given(st.sampled_from(list(places(WHOLE))), OTHERS)
def test_any_value_of_another_kind_is_refused(place: tuple[Any, ...], other: Any) -> None:
    data = copy.deepcopy(WHOLE)
    *way, last = place
    held = data
    for step in way:
        held = held[step]
    before, held[last] = held[last], other
    # An empty list or object is right where there may be none, and a flag may be either.
    some = "configurations" in place and len(place) in (2, 4)
    if type(other) is type(before) and (not (other or some) or isinstance(before, bool)):
        return
    if place[-1] in {"short_side", "filter"} and other is None:
        return
    with pytest.raises(ValueError, match=r"is .* and not|stay|is no path|known|missing"):
        parse_manifest(json.dumps(data).encode())


@given(st.sampled_from([place for place in places(WHOLE) if isinstance(place[-1], str)]))
def test_a_name_that_is_not_ours_is_refused(place: tuple[Any, ...]) -> None:
    data = copy.deepcopy(WHOLE)
    *way, last = place
    held = data
    for step in way:
        held = held[step]
    held["<b>\n"] = held.pop(last)
    with pytest.raises(ValueError, match=r"is .* and not|known|missing"):
        parse_manifest(json.dumps(data).encode())


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../thesis.tex",
        "a/../../thesis.tex",
        ".git/config",
        "a\0b",
        "a" * 5000,
        "a\\b",
        "manifest.json",
        "README.md",
        "cropped_256/train-00000-of-00001.parquet",
    ],
)
def test_paths(path: str, tmp_path: Path) -> None:
    data = copy.deepcopy(WHOLE)
    data["extras"].append({"path": path, "rows": 0, "bytes": 0, "xxh3": XXH3})
    (tmp_path / MANIFEST_NAME).write_text(json.dumps(data))
    for read, error in ((read_manifest, ForeignFolder), (open_folder, MetadataError)):
        with pytest.raises(error, match=r"stay in its folder|listed twice"):
            read(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "cropped_256/test-00000-of-00001.parquet",
        "cropped_256/train-00000-of-00001.tar",
        "metadata/x",
        "README",
        "x.parquet",
    ],
)
def test_shards_lie_where_shards_lie(path: str) -> None:
    data = copy.deepcopy(WHOLE)
    data["configurations"]["cropped_256"]["train"]["shards"][0]["path"] = path
    with pytest.raises(ValueError, match="is no path of a shard of cropped_256/train"):
        parse_manifest(json.dumps(data).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"5", b"{}", b"[" * 10**6, b"\xff", b"{"])
def test_no_manifest(text: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).write_bytes(text)
    for read, error in ((read_manifest, ForeignFolder), (open_folder, MetadataError)):
        with pytest.raises(error, match="the manifest cannot be read"):
            read(tmp_path)


def test_a_manifest_that_is_no_file_or_too_long(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST_NAME
    os.mkfifo(path)
    with pytest.raises(ForeignFolder, match="no regular file"):
        read_manifest(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ForeignFolder, match="no regular file"):
        read_manifest(tmp_path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(MANIFEST_BYTES + 1)
    with pytest.raises(ForeignFolder, match="more than"):
        read_manifest(tmp_path)
