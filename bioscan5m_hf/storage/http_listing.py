"""The files of a folder behind an HTTP server, as far as its pages link to them."""

from __future__ import annotations

import html.parser
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Final

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.storage.open import RemotePath

_LISTING_BYTES: Final = 4 << 20
_TIMEOUT_SECONDS: Final = 60


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

    Args:
        root: The folder.
        depth: How many folders deep to look.

    Raises:
        ArchiveError: The server cannot be reached.
    """
    base = f"{root.url}/"
    for target in _links(base):
        url = urllib.parse.urljoin(base, target).partition("?")[0].partition("#")[0]
        name = url.removeprefix(base)
        if not url.startswith(base) or not re.fullmatch(r"[^/]+/?", name):
            continue
        below = root / name.rstrip("/")
        if not name.endswith("/"):
            yield below
        elif depth > 1 and name != "images/":
            yield from linked_files(below, depth - 1)


def _links(url: str) -> list[str]:
    request = urllib.request.Request(url)  # noqa: S310 - only http comes here
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            if answer.headers.get_content_type() != "text/html":
                return []
            page = answer.read(_LISTING_BYTES).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        return []
    except (OSError, http.client.HTTPException) as error:
        raise ArchiveError(f"cannot be reached ({error})", where=url) from error
    links = _Links()
    links.feed(page)
    return links.targets
