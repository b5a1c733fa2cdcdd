"""Bytes flipped anywhere in a release: the same dataset, or one clear line and status 1.

A csv or JSON-LD file has no checksum, so a flipped letter in a value cannot be told; then the
dataset must be what Python's own ``csv`` and ``json`` read in the damaged file.
"""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bioscan5m_hf.errors import BioscanError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import read_metadata
from bioscan5m_hf.schema.columns import SPLITS
from conversion.cli.main import main
from tests.conftest import Run
from tests.pipeline.test_record import EVAL, IMAGES, METADATA, TRAIN, convert_words, write
from tests.processes import digests
from tests.rows import NAMES, Form, as_csv, as_jsonld, expected, plain

FLIPS_OF_ZIPS = 30
FLIPS_OF_TEXT = 600

ROWS = [plain(n, taxon=f'a, "{n}"\n', coord_lat=f"{n}.5") for n in range(6)]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write(tmp_path / "release", ROWS, IMAGES)


def flip(data: bytes, choose: random.Random, flips: int) -> bytes:
    raw = bytearray(data)
    for _ in range(flips):
        way = choose.randrange(4)
        at = choose.randrange(len(raw))
        if way < 2:
            raw[at] ^= 1 << choose.randrange(8)
        elif way == 2:
            raw[at] = choose.choice(b'\0\xff"\n,PK\x01{}[]\\')
        else:
            del raw[at : at + choose.randrange(1, 40)]
    return bytes(raw)


def error_line(text: str) -> str:
    [*_, line] = text.strip().splitlines()
    assert line.startswith("bioscan5m: error: ")
    assert "Traceback" not in text
    return line


@pytest.mark.usefixtures("no_processes")
def test_damaged_zips(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    words = convert_words(release, output)
    assert main(words) == 0
    good = {name: d for name, d in digests(output).items() if name != "manifest.json"}
    shutil.rmtree(output)
    choose = random.Random(1)
    originals = {name: (release / name).read_bytes() for name in (TRAIN, EVAL)}
    refused = 0
    for number in range(FLIPS_OF_ZIPS):
        name = (TRAIN, EVAL)[number % 2]
        # Half of them hit the directory, which is the smaller part.
        data = originals[name]
        directory = data.index(b"PK\x01\x02")
        damaged = (
            data[:directory] + flip(data[directory:], choose, 1)
            if number % 4 < 2
            else flip(data[:directory], choose, 1) + data[directory:]
        )
        (release / name).write_bytes(damaged)
        capsys.readouterr()
        status = main(words)
        if status:
            assert status == 1
            error_line(capsys.readouterr().err)
            refused += 1
        else:
            found = digests(output)
            del found["manifest.json"]
            assert found == good
        shutil.rmtree(output, ignore_errors=True)
        (release / name).write_bytes(data)
    assert refused > FLIPS_OF_ZIPS // 2


def reference(data: bytes, form: Form) -> list[dict[str, str]] | None:
    """What the standard library reads in a file; none where it does not take it."""
    try:
        text = data.decode("utf-8-sig")
        if form == "jsonld":
            return list(json.loads(text))
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header, *rows = [row for row in reader if row]
        assert all(len(row) == len(header) for row in rows)
        return [dict(zip(header, row, strict=True)) for row in rows]
    except (ValueError, csv.Error, AssertionError):
        return None


@pytest.mark.parametrize("form", ["csv", "jsonld"])
def test_damaged_text_is_read_as_python_reads_it_or_not_at_all(form: Form, tmp_path: Path) -> None:
    data = as_csv(ROWS) if form == "csv" else as_jsonld(ROWS)
    choose = random.Random(form)
    path = tmp_path / f"{METADATA}.{form}"
    refused = 0
    for _ in range(FLIPS_OF_TEXT):
        damaged = flip(data, choose, choose.choice([1, 1, 3]))
        path.write_bytes(damaged)
        rows: list[dict[str, Any]] = []
        try:
            for batch in read_metadata(MetadataFile(path, form)):
                rows += batch.to_pylist()
        except BioscanError as error:
            assert len(str(error)) < 2500
            refused += 1
            continue
        theirs = reference(damaged, form)
        if theirs is None:
            # Python is stricter with quotes that stand within a value, and with bare returns.
            assert form == "csv"
            assert b'"' in damaged
            continue
        assert all(set(row) == set(NAMES) for row in theirs)
        wanted = expected(theirs, first=2 if form == "csv" else 1)
        assert [{**row, "row": 0} for row in rows] == [{**row, "row": 0} for row in wanted]
        assert {row["split"] for row in rows} <= {split.name for split in SPLITS}
    assert refused > FLIPS_OF_TEXT // 8


def test_a_release_of_noise(tmp_path: Path, call: Run) -> None:
    choose = random.Random(9)
    release = tmp_path / "release"
    release.mkdir()
    for name in (TRAIN, f"{METADATA}.csv", f"{METADATA}.jsonld", "BIOSCAN_5M_metadata.zip"):
        (release / name).write_bytes(choose.randbytes(3000))
    error_line(call("convert", release, "--output", tmp_path / "out", status=1).stderr)
    (release / f"{METADATA}.csv").unlink()
    error_line(call("inspect", release, status=1).stderr)
    (release / f"{METADATA}.jsonld").unlink()
    error_line(call("inspect", release, status=1).stderr)
    assert not (tmp_path / "out").exists()


def test_damaged_shards_are_no_traceback(release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "out"
    call(*convert_words(release, output))
    choose = random.Random(4)
    shard = next((output / "cropped_256").glob("train-*"))
    for path in (shard, output / "manifest.json", output / "README.md"):
        path.write_bytes(flip(path.read_bytes(), choose, 3))
        done = call("verify", output, status=1)
        error_line(done.stderr)
    assert pq.read_schema(next((output / "cropped_256").glob("validation-*"))).names
