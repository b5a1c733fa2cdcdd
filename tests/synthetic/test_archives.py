import zipfile
from pathlib import Path

from conversion.synthetic.archives import Member, write_zip


def test_a_zip_has_what_upstreams_have(tmp_path: Path) -> None:
    found: list[Member] = [("x/", b""), ("x/1.jpg", b"one" * 99), ("x/2.jpg", b"two")]
    path = tmp_path / "a.zip"
    write_zip(path, found)
    with zipfile.ZipFile(path) as made:
        assert made.testzip() is None
        assert made.namelist() == ["x/", "x/1.jpg", "x/2.jpg"]
        assert made.getinfo("x/").is_dir()
        assert made.read("x/1.jpg") == b"one" * 99
        assert made.getinfo("x/1.jpg").compress_type == zipfile.ZIP_DEFLATED
    data = path.read_bytes()
    write_zip(path, found)
    assert path.read_bytes() == data
