import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import deflate
import pytest

from conversion.synthetic.zip_writer import ZipWriter


def _add(archive: ZipWriter, name: str, data: bytes) -> None:
    packed = bytes(deflate.deflate_compress(data))
    archive.add(name, packed, crc=zlib.crc32(data), size=len(data))


def _write(folder: Path, fill: Callable[[ZipWriter], None]) -> bytes:
    sink = io.BytesIO()
    with ZipWriter(sink, folder) as archive:
        fill(archive)
    return sink.getvalue()


def test_zipfile_reads_what_is_written(tmp_path: Path) -> None:
    def fill(archive: ZipWriter) -> None:
        archive.add("x/")
        _add(archive, "x/1.jpg", b"one" * 100)
        _add(archive, "x/Å.jpg", b"")

    with zipfile.ZipFile(io.BytesIO(_write(tmp_path, fill))) as made:
        assert made.testzip() is None
        assert made.namelist() == ["x/", "x/1.jpg", "x/Å.jpg"]
        assert made.getinfo("x/").is_dir()
        assert made.read("x/1.jpg") == b"one" * 100
        assert made.getinfo("x/1.jpg").compress_type == zipfile.ZIP_DEFLATED


def test_more_members_than_a_plain_zip_can_hold(tmp_path: Path) -> None:
    def fill(archive: ZipWriter) -> None:
        for number in range(66_000):
            _add(archive, f"{number}.jpg", b"%d" % number)

    with zipfile.ZipFile(io.BytesIO(_write(tmp_path, fill))) as made:
        assert len(made.infolist()) == 66_000
        assert made.testzip() is None


@pytest.mark.parametrize("count", [65_534, 65_535])
def test_counts_around_the_limit(tmp_path: Path, count: int) -> None:
    def fill(archive: ZipWriter) -> None:
        for number in range(count):
            archive.add(f"{number}/")

    data = _write(tmp_path, fill)
    assert (b"PK\x06\x06" in data) == (count == 65_535)
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert len(made.namelist()) == count


def test_members_beyond_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = (1 << 32) + 5
    with (tmp_path / "a.zip").open("wb") as file, ZipWriter(file, tmp_path) as archive:
        _add(archive, "near.jpg", b"near")
        # A hole in the file stands for the gigabytes before a member.
        monkeypatch.setattr(archive, "_offset", gap)
        file.seek(gap)
        _add(archive, "far.jpg", b"far" * 9)
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert made.getinfo("far.jpg").header_offset == gap
        assert made.testzip() is None


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = (_write(tmp_path, lambda archive: _add(archive, "1.jpg", b"1")) for _ in "ab")
    assert first == second
