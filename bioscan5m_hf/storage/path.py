"""Represent locations: an absolute path on this machine, or a URL with the options to open it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote

from bioscan5m_hf.errors import UsageError, without_passwords

Options = tuple[tuple[str, Any], ...]

# A single letter before the colon is a drive of Windows, not a scheme.
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_SECRET: Final = re.compile(
    r"token|secret|passw|key|auth|cookie|sas|credential|headers", re.IGNORECASE
)
_SHORTEST_SECRET: Final = 4


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder at a URL.

    Attributes:
        url: Such as ``https://host/folder/file.zip`` or ``hf://datasets/user/name/file.zip``.
        options: Options for opening the file system, such as a token.
        asked: The URL that the user gave, if ``url`` was pinned to a commit.
    """

    url: str
    options: Options = field(default=(), repr=False)
    asked: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name of the file: the last part of the URL."""
        return PurePosixPath(self._plain).name

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the URL, beginning with the scheme."""
        return PurePosixPath(self._plain).parts

    @property
    def scheme(self) -> str:
        """The part before ``://``, in lower case."""
        return self.url.partition("://")[0].lower()

    @property
    def is_http(self) -> bool:
        """Whether the file is read by plain HTTP, not through fsspec."""
        return self.scheme in ("http", "https")

    @property
    def _plain(self) -> str:
        return unquote(self.url) if self.is_http else self.url

    def relative_to(self, root: RemotePath) -> str:
        """The path of this file relative to a folder."""
        return self._plain.removeprefix(root._plain).lstrip("/")

    def without_secrets(self, text: str) -> str:
        """Replace the secrets among the options, and any passwords, in a text from elsewhere.

        Args:
            text: Such as the message of a server, which may repeat anything that was sent to it.
        """
        for secret in _secrets(dict(self.options), secret=False):
            text = text.replace(secret, "***")
        return without_passwords(text)

    def __truediv__(self, below: str) -> RemotePath:
        name = quote(below) if self.is_http else below
        return RemotePath(f"{self.url.rstrip('/')}/{name}", self.options)

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemotePath({without_passwords(self.url)!r})"


Location = Path | RemotePath


def location_of(path: str | Path, options: Mapping[str, Any] | None = None) -> Location:
    """Parse a path or URL.

    Args:
        path: A path or URL. A path may be relative, may begin with ``~`` and may hold a colon.
        options: Options for opening a remote file system.

    Returns:
        The URL, or the absolute path, which stays valid in another current folder and in another
        process.

    Raises:
        UsageError: It is a ``file://`` URL of another machine, or a relative path whose current
            folder was removed.
    """
    text = os.fspath(path)
    if not _URL.match(text):
        return absolute(text)
    if text.lower().startswith("file://"):
        machine, slash, below = text[len("file://") :].partition("/")
        if machine.lower() not in ("", "localhost"):
            raise UsageError("this is a file of another machine", where=text, fix="give its path")
        return Path(unquote(slash + below)).absolute()
    return RemotePath(text.rstrip("/"), tuple(sorted((options or {}).items())))


def absolute(path: str | os.PathLike[str]) -> Path:
    """The absolute path of something on this machine.

    Args:
        path: It may be relative, and may begin with ``~`` or with ``~`` and the name of a user.

    Raises:
        UsageError: It is relative, and the current folder of this process was removed.
    """
    # ``Path.expanduser`` refuses a name such as ``~backup`` if there is no such user, and turns
    # ``./~`` into the home folder.
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111
    try:
        return expanded.absolute()
    except FileNotFoundError as error:
        raise UsageError(
            "the current folder was removed, so a relative path means nothing",
            where=os.fspath(path),
            fix="change to another folder",
        ) from error


def is_remote(path: str) -> bool:
    """Whether a path or URL is read over a network."""
    return isinstance(location_of(path), RemotePath)


def is_in_memory(location: Location | None) -> bool:
    """Whether a location lies in the memory of this process, so no other process can read it."""
    return isinstance(location, RemotePath) and location.scheme == "memory"


def _secrets(value: object, *, secret: bool) -> Iterator[str]:
    """The values of secret options, and of ``Bearer TOKEN`` also ``TOKEN`` alone."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _secrets(below, secret=secret or bool(_SECRET.search(str(key))))
    elif secret and isinstance(value, str):
        for text in (value, value.rpartition(" ")[2]):
            if len(text) >= _SHORTEST_SECRET:
                yield text
