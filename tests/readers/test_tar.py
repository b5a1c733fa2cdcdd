"""Tar shards that are not what they should be end in one error of ours, never in fewer rows."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bioscan5m_hf.errors import DataError
from bioscan5m_hf.query.choice import Choice
from bioscan5m_hf.readers.webdataset import WebDatasetReader
from tests.rows import plain

RECORDS = [{**plain(n), "coord-lat": 1.5} for n in range(3)]
NAMES = [record["processid"] for record in RECORDS]


def pack(record: bytes | None = None, pax: dict[str, str] | None = None) -> bytes:
    """A shard of three specimens, of which the second may have another record."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, known in enumerate(RECORDS):
            values = {name: value or None for name, value in known.items()}
            data = json.dumps(values).encode()
            if number == 1 and record is not None:
                data = record
            for suffix, content in (("jpg", b"\xff\xd8\xff"), ("json", data)):
                entry = tarfile.TarInfo(f"{known['processid']}.{suffix}")
                entry.size = len(content)
                if number == 1 and suffix == "jpg" and pax:
                    entry.pax_headers = pax
                tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def read(path: Path, data: bytes) -> list[str]:
    path.write_bytes(data)
    tables = WebDatasetReader(path).read(Choice(("processid", "image")))
    return [name for table in tables for name in table["processid"].to_pylist()]


def header(data: bytes, number: int, change: Callable[[bytearray], None]) -> bytes:
    """Change the header of a member, and its checksum."""
    raw = bytearray(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        at = tar.getmembers()[number].offset
    block = raw[at : at + 512]
    change(block)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    raw[at : at + 512] = block
    return bytes(raw)


def sized(number: int, size: bytes) -> bytes:
    def change(block: bytearray) -> None:
        block[124:136] = size

    return header(pack(), number, change)


def test_a_whole_shard_is_read(tmp_path: Path) -> None:
    assert read(tmp_path / "a.tar", pack()) == NAMES
    assert read(tmp_path / "a.tar", pack(pax={"comment": "more"})) == NAMES


BROKEN = {
    "an image of 8 GiB": (sized(2, b"77777777777\0"), "has 8,589,934,591 bytes, the limit is"),
    "a record of 8 GiB": (sized(3, b"77777777777\0"), "has 8,589,934,591 bytes, the limit is"),
    "a base-256 size": (sized(2, b"\x80" + bytes(6) + b"\1" + bytes(4)), "4,294,967,296 bytes"),
    "an endless size": (sized(2, b"\x80" + b"\x7f" * 11), "bytes, the limit is"),
    "a size below nothing": (sized(2, b"\xff" * 11 + b"\0"), "-256 bytes"),
    "a size in an extended header": (pack(pax={"size": str(9 << 30)}), "9,663,676,416 bytes"),
    "a size that is no number": (sized(2, b"x" * 12), "where a member or the end should be"),
    "a wrong checksum": (pack()[:1124] + b"?" + pack()[1125:], "where a member or the end should"),
    "cut off behind a member": (pack()[:2048], "where a member or the end should be"),
    "cut off in a header": (pack()[:2300], "where a member or the end should be"),
    "cut off in an image": (pack()[:2562], ""),
    "a list": (pack(b"[1, 2]"), "P1-23.json' is not a record but [1, 2]"),
    "a number": (pack(b"5"), "P1-23.json' is not a record but 5"),
    "no JSON": (pack(b"{"), "cannot be read"),
    "no text": (pack(b"\xff"), "cannot be read"),
    "a deep list": (pack(b"[" * 100_000), "P1-23.json' is nested too deep"),
    "a long record": (pack(b" " * (9 << 20)), "P1-23.json' has 9,437,184 bytes, the limit is"),
    "text for a number": (
        pack(json.dumps({**RECORDS[1], "coord-lat": "abc"}).encode()),
        "the record of 'P1-23' does not fit the schema",
    ),
}


@pytest.mark.parametrize(("data", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_shard_is_one_clear_error(data: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with pytest.raises(DataError) as caught:
        read(path, data)
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300
    assert "\n" not in str(caught.value)
