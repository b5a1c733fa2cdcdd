"""The end of a JPEG is found whatever follows it, and never in a thumbnail."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bioscan5m_hf.release import jpeg
from bioscan5m_hf.release.jpeg import find_end
from tests.conftest import REAL


def encode(size: tuple[int, int] = (90, 64), mode: str = "RGB", **options: object) -> bytes:
    noise = Image.frombytes(mode, size, os.urandom(size[0] * size[1] * len(mode)))
    data = io.BytesIO()
    noise.save(data, "JPEG", **options)
    return data.getvalue()


def with_thumbnail() -> bytes:
    return encode(exif=b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0" + encode((40, 30)))


KINDS = {
    "baseline": encode(),
    "grey": encode(mode="L"),
    "four colours": encode(mode="CMYK"),
    "progressive": encode(progressive=True),
    "optimised": encode(optimize=True),
    "restarts": encode(restart_marker_blocks=2),
    "comment": encode(comment=b"\xff\xda\xff\xd9 is no mark here"),
    "thumbnail": with_thumbnail(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whole_images_end_where_they_end(kind: str) -> None:
    data = KINDS[kind]
    assert find_end(data) == len(data)
    assert find_end(bytearray(data)) == len(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tail", [1, 5000, 100_000])
def test_what_follows_the_end_does_no_harm(kind: str, tail: int) -> None:
    assert find_end(KINDS[kind] + b"\0" * tail) == len(KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_is_found(kind: str) -> None:
    data = KINDS[kind]
    assert [length for length in range(3, len(data)) if find_end(data[:length]) is not None] == []


def test_a_cut_behind_the_end_of_the_thumbnail_is_found() -> None:
    data = with_thumbnail()
    cut = data[: data.index(b"\xff\xd9") + 2]
    assert cut.endswith(b"\xff\xd9")
    assert find_end(cut) is None


@given(
    kind=st.sampled_from(["baseline", "grey", "four colours", "comment", "progressive"]),
    changes=st.dictionaries(st.integers(2, 700), st.integers(0, 255), max_size=3),
    length=st.integers(3, 3000),
)
def test_an_image_is_judged_alike_whatever_was_seen_before(
    kind: str, changes: dict[int, int], length: int
) -> None:
    assert find_end(KINDS[kind]) == len(KINDS[kind])
    data = bytearray(KINDS[kind])
    for at, value in changes.items():
        data[at] = value
    for each in (data, data[:length], data[:length] + b"\xff\xd9"):
        if each.startswith(b"\xff\xd8\xff"):
            jpeg._headers.clear()
            unseen = find_end(each)
            find_end(KINDS[kind])
            assert find_end(each) == unseen


def test_a_cut_behind_a_scan_header_of_two_bytes_is_found() -> None:
    data = KINDS["grey"]
    scan = data.index(b"\xff\xda")
    odd = data[:scan] + b"\xff\xda\x00\x02\x01" + data[scan + 10 :]
    assert find_end(odd) == len(odd)
    assert find_end(odd[: scan + 4]) is None


@given(st.binary(max_size=400))
def test_any_bytes_give_an_answer(junk: bytes) -> None:
    found = find_end(b"\xff\xd8\xff" + junk)
    assert found is None or 4 < found <= len(junk) + 3


def test_real_photographs_are_whole() -> None:
    images = sorted((REAL / "images").rglob("*.jpg"))
    if not images:
        pytest.skip("the real photographs are not on this machine")
    for path in images:
        assert find_end(path.read_bytes()) == path.stat().st_size
