"""The zip directory reader against Python's ``zipfile``, and against archives that lie."""

from __future__ import annotations

import io
import os
import random
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.release.zip_directory import DIRECTORY_SCHEMA, find_directory, read_directory
from bioscan5m_hf.storage.local import LocalFile
from tests.release.zips import DESCRIPTOR, UTF8, Entry, Zip


class Memory:
    """An archive in memory."""

    location = "archive.zip"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.most = 0

    def read_at(self, offset: int, length: int) -> bytes:
        assert 0 <= offset < 2**63
        assert 0 <= length < 2**31
        self.most = max(self.most, length)
        return self.data[offset : offset + length]

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def listed(data: bytes, block_bytes: int = 8 << 20) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in read_directory(Memory(data), block_bytes=block_bytes):
        assert batch.schema == DIRECTORY_SCHEMA
        rows += batch.to_pylist()
    return rows


def listed_by_python(data: bytes) -> list[dict[str, Any]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [
            {
                "name": info.orig_filename,
                "offset": info.header_offset,
                "compressed": info.compress_size,
                "size": info.file_size,
                "crc": info.CRC,
                "method": info.compress_type,
                "flags": info.flag_bits,
            }
            for info in archive.infolist()
        ]


def _fields() -> st.SearchStrategy[bytes]:
    """Extra fields, whole ones; none of them is the Zip64 field."""
    kinds = st.integers(2, 0xFFFF)
    one = st.builds(
        lambda kind, data: struct.pack("<2H", kind, len(data)) + data, kinds, st.binary(max_size=9)
    )
    return st.lists(one, max_size=3).map(b"".join)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    utf8 = draw(st.booleans())
    if utf8:
        name = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)).encode()
    else:
        name = draw(st.binary(max_size=40))
    return Entry(
        name,
        draw(st.binary(max_size=60)),
        method=draw(st.sampled_from([0, 8])),
        flags=(UTF8 if utf8 else 0) | draw(st.sampled_from([0, DESCRIPTOR])),
        extra=draw(_fields()),
        comment=draw(st.binary(max_size=12)),
        zip64=draw(st.tuples(st.booleans(), st.booleans(), st.booleans())),
        local_extra=draw(_fields()),
    )


archives = st.builds(
    Zip,
    st.lists(entries(), max_size=12).map(tuple),
    comment=st.binary(max_size=40).filter(lambda text: b"PK" not in text),
    prefix=st.binary(max_size=50),
    zip64=st.booleans(),
)


@settings(max_examples=150)
@example(archive=Zip((), prefix=b"PK\x06\x06", zip64=True), block=1)
@example(archive=Zip((), prefix=b"PK\x06\x06" + bytes(80), zip64=True), block=1)
@given(archive=archives, block=st.sampled_from([1, 7, 46, 61, 100, 1000, 8 << 20]))
def test_any_archive_is_read_as_python_reads_it(archive: Zip, block: int) -> None:
    data = bytes(archive)
    assert listed(data, block) == listed_by_python(data)


@settings(max_examples=60)
@given(
    members=st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=200)), max_size=8),
    comment=st.binary(max_size=200).filter(lambda text: b"PK" not in text),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    block=st.integers(1, 300),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_python_writes_is_read_as_python_reads_it(
    members: list[tuple[str, bytes]], comment: bytes, method: int, block: int
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for name, data in members:
            if name.isprintable():
                with archive.open(zipfile.ZipInfo(f"m{name}"), "w", force_zip64=True) as member:
                    member.write(data)
    assert listed(file.getvalue(), block) == listed_by_python(file.getvalue())


@pytest.mark.parametrize("block", [1, 47, 100, 8 << 20])
def test_an_entry_within_a_name_or_a_comment_is_none(block: int) -> None:
    other = bytes(Zip((Entry(b"inner.jpg", b"12345"), Entry(b"two.jpg"))))
    directory = other[other.index(b"PK\x01\x02") : other.index(b"PK\x05\x06")]
    for text in (directory, directory[1:] * 2, directory[:50], b"PK\x01\x02" * 20):
        for entry in (
            Entry(b"a" + text),
            Entry(text),
            Entry(b"a.jpg", comment=text),
            Entry(b"a.jpg", extra=struct.pack("<2H", 7, len(text)) + text),
        ):
            data = bytes(Zip((ONE, entry, ONE, entry)))
            assert listed(data, block) == listed_by_python(data)


def test_more_members_than_sixteen_bits_count() -> None:
    data = bytes(Zip(tuple(Entry(b"%d.jpg" % number, method=0) for number in range(70_000))))
    assert len(listed(data, 100_000)) == 70_000
    whole = bytes(Zip(tuple(Entry(b"%d" % n, method=0) for n in range(66_000)), zip64=True))
    assert len(listed(whole)) == 66_000


def test_a_comment_that_looks_like_an_end_is_a_comment() -> None:
    for comment in (b"PK\x05\x06", b"PK\x05\x06" + bytes(40), bytes(30) + b"PK\x05\x06" * 3):
        for zip64 in (False, True):
            archive = Zip((Entry(b"a.jpg", b"x" * 40),), comment=comment, zip64=zip64)
            assert [row["name"] for row in listed(bytes(archive))] == ["a.jpg"]


ONE = Entry(b"bioscan5m/images/cropped_256/val/A-23.jpg", b"\xff\xd8\xff" + bytes(300), method=0)
THREE = Zip((ONE, Entry(b"b.jpg", b"12345" * 30), Entry(b"c.jpg", b"", method=0)))


@pytest.mark.parametrize("zip64", [False, True])
def test_an_archive_cut_off_anywhere_is_refused(zip64: bool) -> None:
    data = bytes(THREE.replaced(zip64=zip64))
    for length in range(len(data)):
        with pytest.raises(ArchiveError):
            listed(data[:length], 64)


def test_what_is_cut_off_and_what_is_no_zip_are_told_apart() -> None:
    with pytest.raises(ArchiveError, match="truncated: it ends after 200 bytes"):
        listed(bytes(THREE)[:200])
    for other in (b"", b"P", b"<html>quota exceeded</html>", bytes(100_000)):
        with pytest.raises(ArchiveError, match="not a zip"):
            listed(other)


LIES = {
    "billions of entries": THREE.replaced(zip64=True, members=5_000_000_000),
    "more entries than there are": THREE.replaced(members=5),
    "fewer entries than there are": THREE.replaced(members=2),
    "a directory longer than the file": THREE.replaced(directory_length=2**31),
    "an endless directory": THREE.replaced(zip64=True, directory_length=2**64 - 1),
    "a directory as long as all numbers": THREE.replaced(zip64=True, directory_length=2**63),
    "a directory beyond the file": THREE.replaced(directory_offset=2**31),
    "a directory beyond all numbers": THREE.replaced(zip64=True, directory_offset=2**64 - 1),
    "a volume of a split archive": THREE.replaced(disk=3),
    "a volume of a large split archive": THREE.replaced(disk=3, zip64=True),
    "bytes between directory and end": THREE.replaced(between=b"x" * 46),
    "less than an entry between": THREE.replaced(between=b"x" * 9),
    "a member beyond the file": Zip((ONE, Entry(b"b", offset=10**6))),
    "a member beyond all numbers": Zip((ONE, Entry(b"b", offset=2**64 - 1))),
    "an offset that wraps around": Zip((Entry(b"b", offset=2**64 - 20),), prefix=bytes(40)),
    "a member longer than the file": Zip((ONE, Entry(b"b", compressed=10**6))),
    "a member longer than all numbers": Zip((ONE, Entry(b"b", compressed=2**64 - 1))),
    "overlapping members": Zip(
        (ONE, *(Entry(b"%d" % n, offset=0, compressed=330) for n in range(9)))
    ),
}


@pytest.mark.parametrize("place", [0, 10**9, 2**63, 2**64 - 1])
def test_a_zip64_end_that_is_elsewhere_is_looked_for_before_its_locator(place: int) -> None:
    data = bytes(THREE.replaced(zip64=True, locator=place))
    assert listed(data) == listed_by_python(data)
    with pytest.raises(ArchiveError, match="Zip64 end record is not where"):
        listed(data.replace(b"PK\x06\x06", b"PK\x06\x05"))


@pytest.mark.parametrize("archive", LIES.values(), ids=LIES)
@pytest.mark.parametrize("block", [50, 8 << 20])
def test_lies_are_refused(archive: Zip, block: int) -> None:
    source = Memory(bytes(archive))
    with pytest.raises(ArchiveError):
        list(read_directory(source, block_bytes=block))
    assert source.most <= max(block, 66_000), "more was read at once than a block"


def test_lies_about_sizes_are_listed_as_they_are() -> None:
    # Plain sizes are judged where a member is read; here they only must not overflow.
    archive = Zip((ONE, Entry(b"b", size=2**64 - 1), Entry(b"c", size=2**63)))
    assert [row["size"] for row in listed(bytes(archive))] == [303, 2**64 - 1, 2**63]


@settings(max_examples=150)
@given(archive=archives, data=st.data())
def test_damage_gives_an_archive_error_or_a_list(archive: Zip, data: st.DataObject) -> None:
    raw = bytearray(bytes(archive))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    source = Memory(bytes(raw))
    try:
        rows = [
            row for batch in read_directory(source, block_bytes=90) for row in batch.to_pylist()
        ]
    except ArchiveError as error:
        assert str(error).startswith("archive.zip: ")
        return
    assert all(row["offset"] + row["compressed"] <= len(raw) for row in rows)


@settings(max_examples=100)
@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x05\x06", b"PK\x06\x07", b"PK\x01\x02"]))
def test_noise_is_an_archive_error(noise: bytes, mark: bytes) -> None:
    data = noise + mark + noise
    try:
        listed(data, 50)
    except ArchiveError:
        return
    assert find_directory(Memory(data)).members == 0


def test_the_memory_for_a_large_directory_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    names = random.Random(5)
    path.write_bytes(
        bytes(
            Zip(
                tuple(
                    Entry(b"%032x" % names.getrandbits(128), method=0, comment=bytes(200))
                    for _ in range(60_000)
                ),
                zip64=True,
            )
        )
    )
    child = os.fork()
    if child == 0:
        status = 1
        try:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            # The directory has 17 MB; a block of 256 kB and its columns have to do with less.
            resource.setrlimit(resource.RLIMIT_AS, (used + (12 << 20), -1))
            with LocalFile(path) as source:
                rows = sum(b.num_rows for b in read_directory(source, block_bytes=1 << 18))
            status = 0 if rows == 60_000 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "BIOSCAN_5M_cropped_256.zip"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero"), tmp_path / "nowhere"):
        with pytest.raises(ArchiveError):
            LocalFile(path)
