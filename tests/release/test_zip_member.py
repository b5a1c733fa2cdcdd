"""Reading one image out of an archive: nothing but its true bytes comes out."""

from __future__ import annotations

import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bioscan5m_hf.release import inflate
from bioscan5m_hf.release.zip_directory import read_directory
from bioscan5m_hf.release.zip_member import (
    MAX_IMAGE_BYTES,
    Flaw,
    FlawedImage,
    Member,
    check_jpeg,
    read_member,
    read_sound,
)
from tests.release.test_jpeg import encode
from tests.release.test_zip_directory import Memory
from tests.release.zips import DESCRIPTOR, Entry, Zip

JPEG = encode((40, 30))
Member_fields = ("offset", "compressed", "size", "crc", "method")


def read_all(archive: Zip) -> list[bytes | Flaw]:
    source = Memory(bytes(archive))
    found: list[bytes | Flaw] = []
    for batch in read_directory(source):
        for row in batch.to_pylist():
            try:
                member = Member(*(row[name] for name in Member_fields))
                found.append(bytes(read_member(source, member)))
            except FlawedImage as flawed:
                assert flawed.detail
                found.append(flawed.flaw)
    return found


def read_one(entry: Entry) -> bytes | Flaw:
    [first, found] = read_all(Zip((Entry(b"before.jpg", b"x"), entry)))
    assert first == b"x"
    return found


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize("name", [b"a.jpg", b"n" * 60_000])
def test_the_true_bytes_come_out(method: int, name: bytes) -> None:
    for data in (JPEG, b"", b"x", JPEG * 50):
        for flags in (0, DESCRIPTOR):
            entry = Entry(name, data, method=method, flags=flags, local_extra=bytes(4) * 60)
            assert read_one(entry) == data


@settings(max_examples=100)
@given(st.lists(st.tuples(st.binary(max_size=500), st.sampled_from([0, 8])), max_size=6))
def test_any_bytes_come_out(members: list[tuple[bytes, int]]) -> None:
    archive = Zip(tuple(Entry(b"%d" % n, d, method=m) for n, (d, m) in enumerate(members)))
    assert read_all(archive) == [data for data, _ in members]


BOMB = Entry(b"bomb.jpg", bytes(20_000_000), size=1000)
DAMAGED = Entry(b"a.jpg", JPEG)
FLAWS = {
    "a wrong CRC": (Entry(b"a", JPEG, crc=1), Flaw.BAD_CRC),
    "a wrong CRC of stored bytes": (Entry(b"a", JPEG, method=0, crc=1), Flaw.BAD_CRC),
    "a wrong CRC of nothing": (Entry(b"a", b"", crc=1), Flaw.BAD_CRC),
    "more than it says": (BOMB, Flaw.UNREADABLE),
    "one byte more than it says": (Entry(b"a", JPEG, size=len(JPEG) - 1), Flaw.UNREADABLE),
    "one byte less than it says": (Entry(b"a", JPEG, size=len(JPEG) + 1), Flaw.UNREADABLE),
    "stored with another size": (Entry(b"a", JPEG, method=0, size=9), Flaw.UNREADABLE),
    "nothing, it says": (Entry(b"a", JPEG, size=0), Flaw.BAD_CRC),
    "less packed than it is": (Entry(b"a", JPEG, compressed=20), Flaw.UNREADABLE),
    "another method": (Entry(b"a", JPEG, method=14), Flaw.UNREADABLE),
    "not deflated": (Entry(b"a", JPEG, method=9), Flaw.UNREADABLE),
    "no header there": (Entry(b"a", JPEG, offset=7), Flaw.UNREADABLE),
    "as large as the limit allows, it says": (
        Entry(b"a", JPEG, size=MAX_IMAGE_BYTES),
        Flaw.UNREADABLE,
    ),
    "larger than an image may be": (Entry(b"a", JPEG, size=MAX_IMAGE_BYTES + 1), Flaw.OVERSIZED),
    "larger than all numbers": (Entry(b"a", JPEG, size=2**64 - 1), Flaw.OVERSIZED),
}


@pytest.mark.parametrize("fallback", [False, True])
@pytest.mark.parametrize(("entry", "flaw"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_is_named(
    entry: Entry, flaw: Flaw, fallback: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if fallback:
        monkeypatch.setattr("bioscan5m_hf.release.zip_member.inflate", inflate._inflate_zlib)
        monkeypatch.setattr("bioscan5m_hf.release.zip_member.crc32", zlib.crc32)
    assert read_one(entry) is flaw


@pytest.mark.parametrize("entry", [entry for entry, _ in FLAWS.values()], ids=list(FLAWS))
def test_what_is_not_sound_is_not_read_quickly(entry: Entry) -> None:
    data = bytes(Zip((Entry(b"before.jpg", JPEG), entry)))
    for batch in read_directory(Memory(data)):
        assert [read_place(data, row) for row in batch.to_pylist()] == [JPEG, None]


def test_only_what_is_deflated_and_sound_is_read_quickly() -> None:
    png = b"\x89PNG" + JPEG[4:]
    padded = JPEG + bytes(100)
    entries = [
        Entry(b"a", JPEG, method=8),
        Entry(b"b", JPEG, method=8, local_extra=b"\0\0\xc8\0" + bytes(200)),
        Entry(b"c", JPEG, method=0),
        Entry(b"d", png, method=8),
        Entry(b"e", padded, method=8),
        Entry(b"f", b"", method=8),
        Entry(b"g", JPEG[:-2], method=8),
    ]
    data = bytes(Zip(tuple(entries)))
    rows = [row for batch in read_directory(Memory(data)) for row in batch.to_pylist()]
    assert [read_place(data, row) for row in rows] == [
        JPEG, None, None, None, padded, None, None
    ]  # fmt: skip
    for length in range(0, len(data), 7):
        assert read_place(data[:length], rows[0]) in (None, JPEG)


def read_place(data: bytes, row: dict[str, int]) -> bytes | bytearray | None:
    offset, compressed, size, crc, method = (row[name] for name in Member_fields)
    [found] = read_sound(Memory(data).read_at, [(offset, compressed, size, crc, method)])
    return found


def test_a_member_that_the_archive_ends_within() -> None:
    data = bytes(Zip((Entry(b"a", JPEG, method=0),)))
    source = Memory(data[:200])
    member = Member(0, len(JPEG), len(JPEG), zlib.crc32(JPEG), 0)
    with pytest.raises(FlawedImage, match="the archive ends within it"):
        read_member(source, member)
    for length in (0, 3, 29):
        with pytest.raises(FlawedImage, match="no member starts"):
            read_member(Memory(data[:length]), member)


def test_no_flipped_bit_of_a_member_comes_out() -> None:
    for method in (0, 8):
        entry = Entry(b"a.jpg", JPEG, method=method)
        data = bytes(Zip((entry,)))
        [row] = [row for batch in read_directory(Memory(data)) for row in batch.to_pylist()]
        member = Member(*(row[name] for name in Member_fields))
        spots = random.Random(3).sample(range(8 * (35 + len(entry.packed))), 300)
        for bit in spots:
            raw = bytearray(data)
            raw[bit // 8] ^= 1 << bit % 8
            assert read_place(bytes(raw), row) in (None, JPEG)
            try:
                assert read_member(Memory(bytes(raw)), member) == JPEG
            except FlawedImage as flawed:
                assert flawed.flaw in {Flaw.UNREADABLE, Flaw.BAD_CRC}


Inflated = bytes | None


def inflated(engine: object, data: bytes, size: int) -> Inflated:
    assert callable(engine)
    try:
        plain = bytes(engine(memoryview(data), size))
    except inflate.InflateError:
        return None
    assert len(plain) <= size + 1
    return plain if len(plain) == size else None


@pytest.mark.skipif(not inflate.HAVE_LIBDEFLATE, reason="libdeflate is not installed")
@settings(max_examples=300)
@given(
    plain=st.one_of(st.binary(max_size=400), st.integers(0, 5000).map(lambda n: b"ab" * n)),
    level=st.integers(0, 9),
    off=st.integers(-2, 2),
    cut=st.integers(0, 3),
    tail=st.binary(max_size=3),
    flip=st.one_of(st.none(), st.integers(0, 10_000)),
)
def test_both_inflaters_agree(
    plain: bytes, level: int, off: int, cut: int, tail: bytes, flip: int | None
) -> None:
    engine = zlib.compressobj(level, wbits=-15)
    packed = bytearray(engine.compress(plain) + engine.flush())
    packed = packed[: len(packed) - cut] + tail
    if flip is not None and packed:
        packed[flip // 8 % len(packed)] ^= 1 << flip % 8
    size = max(1, len(plain) + off)
    ours = inflated(inflate._inflate_libdeflate, bytes(packed), size)
    theirs = inflated(inflate._inflate_zlib, bytes(packed), size)
    # libdeflate takes two codes that stand for nothing for a length, as a flipped bit may make of
    # another one. Bytes of either are held against their CRC-32.
    assert ours == theirs or (flip is not None and theirs is None)
    if not off and not cut and flip is None and plain:
        assert ours == plain


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_both_checksums_agree(data: bytes) -> None:
    assert inflate.crc32(data) == zlib.crc32(data)


def test_real_jpegs_pass_and_others_do_not() -> None:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (10, 90, 20)).save(file, "JPEG")
    good = file.getvalue()
    check_jpeg(good)
    check_jpeg(bytearray(good + bytes(100)))
    png = io.BytesIO()
    Image.new("RGB", (4, 4)).save(png, "PNG")
    bad = {
        b"": Flaw.EMPTY,
        png.getvalue(): Flaw.NOT_JPEG,
        b"\xff": Flaw.NOT_JPEG,
        b"\xff\xd8": Flaw.NOT_JPEG,
        b"\xff\xd8\xff": Flaw.TRUNCATED,
        good[:-2]: Flaw.TRUNCATED,
        good[: len(good) // 2]: Flaw.TRUNCATED,
        good[1:]: Flaw.NOT_JPEG,
        good[:-2] + bytes(100): Flaw.TRUNCATED,
    }
    for data, flaw in bad.items():
        with pytest.raises(FlawedImage) as caught:
            check_jpeg(data)
        assert caught.value.flaw is flaw
