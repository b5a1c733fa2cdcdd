"""What may be read, written and removed in a folder that a stranger filled."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bioscan5m_hf.errors import ForeignFolder
from bioscan5m_hf.storage.inside import (
    open_own,
    open_regular,
    read_small,
    real_folders,
    remove,
    remove_tree,
    require_inside,
    require_regular,
    to_write,
)

OUT = ("/etc/passwd", "../a", "a/../b", "a//b", "a/", "/", "", ".", "a/./b", "a\\b", "a\0b", "a\nb")


def test_names_that_stay() -> None:
    assert require_inside("cropped_256/train-00000-of-00001.parquet")
    assert require_inside("README.md") == "README.md"
    assert require_inside(".bioscan5m/begun", hidden=True) == ".bioscan5m/begun"


@pytest.mark.parametrize("name", [*OUT, "\x1b[2Ja", "a" * 5000, 5, None, ["a"]])
@pytest.mark.parametrize("hidden", [False, True])
def test_names_that_do_not(name: object, hidden: bool) -> None:
    with pytest.raises(ValueError, match=r"does not stay in its folder|is no path"):
        require_inside(name, hidden=hidden)


@pytest.mark.parametrize("name", [".git/config", "a/.b"])
def test_hidden_names(name: str) -> None:
    with pytest.raises(ValueError, match="does not stay in its folder"):
        require_inside(name)


def test_only_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"12345"
        assert read_small(tmp_path / name, 5) == b"12345"
        with pytest.raises(OSError, match="more than 4 bytes"):
            read_small(tmp_path / name, 4)
    for name in ("pipe", "endless", "."):
        for read in (open_regular, require_regular, lambda path: read_small(path, 9)):
            with pytest.raises(OSError, match="no regular file"):
                read(tmp_path / name)


def test_no_link_is_opened_for_writing(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("kept")
    (tmp_path / "link").symlink_to("thesis.tex")
    (tmp_path / "new").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "new", "pipe"):
        with pytest.raises(OSError, match=r"symbolic links|no regular file"):
            open_own(tmp_path / name)
    assert not (tmp_path / "elsewhere").exists()
    for _ in range(2):
        descriptor = open_own(tmp_path / "own")
        assert not os.fstat(descriptor).st_mode & 0o111
        os.close(descriptor)


def test_links_are_neither_written_nor_emptied(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "a").write_text("kept")
    (folder / "link").symlink_to(elsewhere)
    (folder / "here").symlink_to(elsewhere / "a")
    (folder / "own").mkdir()
    assert real_folders(folder) == [folder / "own"]
    for name in ("link/a", "link/b/c", "here/a"):
        with pytest.raises(ForeignFolder, match="is a link to"):
            to_write(folder, name)
        remove(folder, name)
    for name in ("link", "link/b", "here"):
        remove_tree(folder, name)
    assert (elsewhere / "a").read_text() == "kept"
    assert (folder / "link").is_symlink()
    # The link is ours to replace, what it leads to is not.
    assert to_write(folder, "here") == folder / "here"
    remove(folder, "here")
    assert not (folder / "here").is_symlink()
    assert (elsewhere / "a").read_text() == "kept"
    assert to_write(folder, "own/new/a") == folder / "own/new/a"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert to_write(tmp_path / "link", "a/b") == tmp_path / "link/a/b"
