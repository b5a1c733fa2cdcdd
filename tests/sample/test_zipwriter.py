import zipfile
import zlib
from pathlib import Path

import deflate
import pytest

from conversion.sample.zipwriter import ZipWriter


def _add(archive: ZipWriter, name: str, data: bytes) -> None:
    packed = bytes(deflate.deflate_compress(data))
    archive.add_deflated(name, packed, crc=zlib.crc32(data), size=len(data))


def test_zipfile_reads_what_is_written(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"row\n" * 1_000_000)
    with ZipWriter(tmp_path / "a.zip") as archive:
        archive.add_folder("x/")
        _add(archive, "x/1.jpg", b"one" * 100)
        archive.add_file("x/rows.csv", source)
        _add(archive, "x/Å.jpg", b"")
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert made.testzip() is None
        assert made.namelist() == ["x/", "x/1.jpg", "x/rows.csv", "x/Å.jpg"]
        assert made.getinfo("x/").is_dir()
        assert made.read("x/1.jpg") == b"one" * 100
        assert made.read("x/rows.csv") == source.read_bytes()
        assert made.getinfo("x/1.jpg").compress_type == zipfile.ZIP_DEFLATED


def test_more_members_than_a_plain_zip_can_hold(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.zip") as archive:
        for number in range(66_000):
            _add(archive, f"{number}.jpg", b"%d" % number)
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert len(made.infolist()) == 66_000
        assert made.testzip() is None


@pytest.mark.parametrize("count", [65_534, 65_535])
def test_counts_around_the_limit(tmp_path: Path, count: int) -> None:
    with ZipWriter(tmp_path / "a.zip") as archive:
        for number in range(count):
            archive.add_folder(f"{number}/")
    data = (tmp_path / "a.zip").read_bytes()
    assert (b"PK\x06\x06" in data) == (count == 65_535)
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert len(made.namelist()) == count


def test_members_beyond_four_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ZipWriter(tmp_path / "a.zip") as archive:
        _add(archive, "near.jpg", b"near")
        # A hole in the file stands for the gigabytes before a member.
        gap = (1 << 32) + 5
        monkeypatch.setattr(archive, "_offset", gap)
        archive._file.seek(gap)
        _add(archive, "far.jpg", b"far" * 9)
    with zipfile.ZipFile(tmp_path / "a.zip") as made:
        assert made.getinfo("far.jpg").header_offset == gap
        assert made.testzip() is None


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with ZipWriter(tmp_path / "a.zip") as archive:
            _add(archive, "1.jpg", b"1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with ZipWriter(tmp_path / name) as archive:
            _add(archive, "1.jpg", b"1")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
