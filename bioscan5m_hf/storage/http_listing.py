"""List the files of a folder on an HTTP server by following the links of its pages."""

from __future__ import annotations

import html.parser
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urljoin

from bioscan5m_hf.storage.http import read_page
from bioscan5m_hf.storage.inside import require_inside
from bioscan5m_hf.storage.path import RemotePath

_LISTING_BYTES: Final = 4 << 20


class _Links(html.parser.HTMLParser):
    """Collects the targets of the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def linked_files(root: RemotePath, depth: int) -> Iterator[RemotePath]:
    """Find the files that a server's page about a folder links to, also in its subfolders.

    Args:
        root: The folder.
        depth: How many levels of folders to list, including this one.

    Raises:
        ArchiveError: The server cannot be reached, fails, or requires credentials.
    """
    base = f"{root.url}/"
    page = read_page(RemotePath(base, root.options), _LISTING_BYTES)
    links = _Links()
    links.feed(page or "")
    for target in dict.fromkeys(links.targets):
        name = _name_below(base, target)
        if name is None:
            continue
        below = root / name.rstrip("/")
        if not name.endswith("/"):
            yield below
        elif depth > 1 and name != "images/":
            yield from linked_files(below, depth - 1)


def _name_below(base: str, target: str) -> str | None:
    """The name of a file or, with a slash, folder directly below a URL; ``None`` for other links.

    Args:
        base: The URL, with a slash at its end.
        target: The target of the link.
    """
    try:
        url = unquote(urljoin(base, target).partition("?")[0].partition("#")[0])
        name = url.removeprefix(unquote(base))
        below = name.removesuffix("/")
        return name if url != name and "/" not in require_inside(below) else None
    except ValueError:
        return None
