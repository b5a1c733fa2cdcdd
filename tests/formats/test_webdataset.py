"""Tar shards, as everything that reads tar shards sees them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bioscan5m_hf.schema.columns import arrow_schema, column_names
from conversion.formats.webdataset import WebDatasetWriter
from tests.conftest import Run, make_once
from tests.independent import Specimen, read_release


@pytest.fixture(scope="session")
def folder(small_release: Path, shared: Path, call: Run) -> Path:
    return make_once(
        shared / "small-wds",
        lambda root: call(
            *("convert", small_release, "--output", root, "--package", "cropped_256"),
            *("--format", "webdataset", "--shard-size", "150kB", "--quiet"),
        ),
    )


@pytest.fixture(scope="session")
def specimens(small_release: Path) -> list[Specimen]:
    return read_release(small_release, "cropped_256")["pretrain"]


def shards(folder: Path, split: str = "pretrain") -> list[Path]:
    found = sorted((folder / "cropped_256").glob(f"{split}-*.tar"))
    assert found
    return found


def test_headers_are_plain_ustar(folder: Path) -> None:
    for path in shards(folder):
        with tarfile.open(path, format=tarfile.USTAR_FORMAT) as archive:
            members = archive.getmembers()
            assert archive.pax_headers == {}
        for member in members:
            assert member.type == tarfile.REGTYPE
            assert member.pax_headers == {}
            assert (member.mode, member.uid, member.gid) == (0o644, 0, 0)
            assert member.mtime == members[0].mtime == int(member.mtime)
        expected = sum(512 + -(-member.size // 512) * 512 for member in members) + 1024
        assert path.stat().st_size == -(-expected // 10_240) * 10_240


def test_tar_lists_an_image_and_a_record_for_each_specimen(
    folder: Path, specimens: list[Specimen]
) -> None:
    names: list[str] = []
    for path in shards(folder):
        done = subprocess.run(
            ["tar", "tf", path], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
        )
        assert done.stderr == ""
        names += done.stdout.split()
    assert len(shards(folder)) > 1
    ids = [specimen.row["processid"] for specimen in specimens]
    assert names == [f"{name}.{ending}" for name in ids for ending in ("jpg", "json")]


def test_records_are_typed(folder: Path, specimens: list[Specimen]) -> None:
    rows: list[dict[str, Any]] = []
    for path in shards(folder):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".json"):
                    file = archive.extractfile(member)
                    assert file is not None
                    text = file.read().decode("utf-8")
                    rows.append(json.loads(text))
                    assert "\\u" not in text
    assert all(list(row)[: len(column_names())] == column_names() for row in rows)
    kept = [{name: row[name] for name in column_names()} for row in rows]
    assert kept == [specimen.row for specimen in specimens]


def test_sizes_count_the_samples_of_each_shard(folder: Path) -> None:
    sizes = json.loads((folder / "cropped_256" / "sizes.json").read_text())
    for path in (folder / "cropped_256").glob("*.tar"):
        with tarfile.open(path) as archive:
            assert sizes.pop(path.name) == len(archive.getnames()) / 2
    assert sizes == {}


def test_metadata_lies_beside_as_parquet_and_the_card_says_so(folder: Path) -> None:
    assert list((folder / "metadata").glob("train-*.parquet"))
    card = (folder / "README.md").read_text()
    assert "metadata/*.parquet" in card
    assert "config_name: metadata" not in card


READ = """
import base64, json, sys
import webdataset as wds
urls = json.loads(sys.argv[1])
for mode in sys.argv[2:]:
    if mode == "plain":
        samples = wds.WebDataset(urls, shardshuffle=False)
    elif mode == "shuffled":
        samples = wds.WebDataset(urls, shardshuffle=10).shuffle(50)
    else:
        samples = wds.WebLoader(
            wds.WebDataset(urls, shardshuffle=10), batch_size=None, num_workers=2
        )
    told = [
        [sample["__key__"], base64.b64encode(sample["jpg"]).decode(), json.loads(sample["json"])]
        for sample in samples
    ]
    print(json.dumps(told))
"""


def test_the_webdataset_library_reads_every_sample_once(
    folder: Path, specimens: list[Specimen]
) -> None:
    if importlib.util.find_spec("webdataset") is None:
        pytest.skip("webdataset is not installed")
    torch = importlib.util.find_spec("torch") is not None
    modes = ["plain", "shuffled", *(["workers"] if torch else [])]
    # A process of its own: the library leaves files open, which would fail this one. One for all
    # modes: it takes seconds to import.
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps([str(path) for path in shards(folder)]), *modes],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        [specimen.row["processid"], base64.b64encode(specimen.image or b"").decode(), specimen.row]
        for specimen in specimens
    ]
    for mode, line in zip(modes, done.stdout.splitlines(), strict=True):
        samples = [
            [key, image, {name: record[name] for name in column_names()}]
            for key, image, record in json.loads(line)
        ]
        if mode != "plain":
            assert samples != expected
            samples.sort(key=lambda sample: hashlib.md5(sample[0].encode()).digest())
        assert samples == expected


def test_nothing_but_the_specimens_decides_the_bytes(tmp_path: Path) -> None:
    row: dict[str, Any] = dict.fromkeys(column_names())
    row |= {
        "processid": "Å" * 40,
        "split": "val",
        "country": 'Côte "d\'Ivoire"\n',
        "coord-lat": 0.1,
    }
    rows = pa.RecordBatch.from_pylist([row], arrow_schema(image=False))
    written = []
    for name in ("a.tar", "b.tar"):
        with WebDatasetWriter(tmp_path / name, image=True) as writer:
            writer.write(rows, pa.array([b"\xff\xd8\xff\xd9"]))
            written.append(writer.commit())
    assert written[0] == written[1]
    with tarfile.open(tmp_path / "a.tar") as archive:
        image, record = archive.getmembers()
        assert image.name == "Å" * 40 + ".jpg"
        file = archive.extractfile(record)
        assert file is not None
        assert json.load(file) == row
