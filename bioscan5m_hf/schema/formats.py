"""The formats of shards, and the names of their files."""

from __future__ import annotations

from typing import Final

from bioscan5m_hf.errors import UnknownName

SUFFIXES: Final[dict[str, str]] = {".parquet": "parquet", ".arrow": "arrow", ".tar": "webdataset"}
"""The formats of shards, by what the names of their files end with."""


def format_named(name: str) -> str:
    """See that there is a format of shards of this name, and give it back.

    Raises:
        UnknownName: There is none; the message lists them.
    """
    if name not in SUFFIXES.values():
        raise UnknownName.of("format", name, SUFFIXES.values())
    return name
