"""List the files of a folder behind an HTTP server, as far as its pages link to them."""

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
    """Collects where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def linked_files(root: RemotePath, depth: int) -> Iterator[RemotePath]:
    """The files that a server's page about a folder links to, and those of its folders.

    Raises:
        ArchiveError: The server cannot be reached, or refuses.
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
    """The name that a link gives to a file or, with a slash, to a folder directly below a URL."""
    try:
        url = unquote(urljoin(base, target).partition("?")[0].partition("#")[0])
        name = url.removeprefix(unquote(base))
        below = name.removesuffix("/")
        return name if url != name and "/" not in require_inside(below) else None
    except ValueError:
        return None
