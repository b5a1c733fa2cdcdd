import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from conversion.synthetic.archives import Member, write_zip
from conversion.synthetic.images import body_of, encode

BODY = body_of(encode(Image.new("RGB", (8, 8))))


def _write(folder: Path, found: Iterable[Member]) -> bytes:
    file = io.BytesIO()
    for _ in write_zip(file, found, folder):
        pass
    return file.getvalue()


def test_zipfile_reads_what_is_written(tmp_path: Path) -> None:
    found = [Member("x/"), Member("x/1.jpg", b"one", BODY), Member("x/2.jpg", b"two", BODY)]
    with zipfile.ZipFile(io.BytesIO(_write(tmp_path, found))) as made:
        assert made.testzip() is None
        assert made.namelist() == ["x/", "x/1.jpg", "x/2.jpg"]
        assert made.getinfo("x/").is_dir()
        assert made.read("x/1.jpg") == b"one" + BODY.plain
        assert made.getinfo("x/1.jpg").compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.parametrize("count", [65_534, 65_535, 66_000])
def test_counts_around_the_limit_of_a_plain_zip(tmp_path: Path, count: int) -> None:
    data = _write(tmp_path, (Member(f"{number}/") for number in range(count)))
    assert (b"PK\x06\x06" in data) == (count >= 65_535)
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert len(made.namelist()) == count


def test_members_beyond_four_gigabytes(tmp_path: Path) -> None:
    gap = (1 << 32) + 5
    with (tmp_path / "a.zip").open("wb") as file:

        def found() -> Iterator[Member]:
            yield Member("near.jpg", b"near", BODY)
            # A hole in the file stands for the gigabytes before a member.
            file.seek(gap)
            yield Member("far.jpg", b"far", BODY)

        for _ in write_zip(file, found(), tmp_path):
            pass
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert made.getinfo("far.jpg").header_offset == gap
        assert made.testzip() is None
