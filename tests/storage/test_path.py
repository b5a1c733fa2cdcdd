"""What a location is, whatever it is called and wherever the process stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from bioscan5m_hf.errors import ArchiveError, UsageError
from bioscan5m_hf.storage.path import RemotePath, is_remote, location_of

ODD = ["run:1", "C:\\x", "C:/x", "C://x", "a%20b", "a#b", "a?b", "a b", "Käfer", "a::b", "file:x"]
ODD += ["~nobody at all", "./~", "./~nobody at all"]


@pytest.mark.parametrize("name", ODD)
def test_a_relative_path_is_absolute_from_the_start(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = location_of(name)
    monkeypatch.chdir("/")
    assert found == tmp_path / name


def test_a_relative_path_in_a_folder_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert location_of("/a/b") == Path("/a/b")
    with pytest.raises(UsageError, match=r"release: the current folder was removed"):
        location_of("release")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("FILE://LOCALHOST/a%20b", "/a b"),
        ("file:///a#b?c", "/a#b?c"),
    ],
)
def test_a_url_of_a_file_here_is_its_path(url: str, path: str) -> None:
    assert location_of(url) == Path(path)


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("hf://datasets/user/name/a.zip", True),
        ("HTTPS://host/a.zip", True),
        ("memory://a", True),
        ("/a/b.zip", False),
        ("c:/a:b", False),
        ("file:///a/b.zip", False),
    ],
)
def test_a_url_is_remote_unless_it_means_a_file_here(path: str, *, remote: bool) -> None:
    assert is_remote(path) == remote


def test_a_url_of_a_file_elsewhere_is_refused() -> None:
    with pytest.raises(UsageError, match="another machine"):
        location_of("file://elsewhere/a")


def test_names_below_a_server_are_quoted_and_told_plainly() -> None:
    root = RemotePath("https://host/a%20b")
    file = root / "c d/#1 50%?é.zip"
    assert file.url == "https://host/a%20b/c%20d/%231%2050%25%3F%C3%A9.zip"
    assert file.name == "#1 50%?é.zip"
    assert file.relative_to(root) == "c d/#1 50%?é.zip"
    assert (RemotePath("s3://b/a") / "c%d").url == "s3://b/a/c%d"


def test_secrets_are_not_shown() -> None:
    options = (("headers", {"Authorization": "Bearer sesame-open"}), ("anon", "harmless"))
    path = RemotePath("ftp://user:word@host/a", options)
    assert repr(path) == "RemotePath('ftp://user:***@host/a')"
    told = path.without_secrets("you sent sesame-open, Basic dXNlcg==, harmless")
    assert told == "you sent ***, Basic ***, harmless"
    error = ArchiveError("got hf_abcdefghijkl and Bearer abcdef.gh", where=path.url)
    assert str(error) == "ftp://user:***@host/a: got *** and Bearer ***"
