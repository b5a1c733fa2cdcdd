"""List the formats of shards, and find the class that reads each.

A format is a reader in ``bioscan5m_hf/readers/<name>.py``, a writer in
``conversion/formats/<name>.py`` and an entry here. Classes are imported when they are used, because
the command line and the manifest need only the names, without importing pyarrow.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from bioscan5m_hf.errors import UnknownName

if TYPE_CHECKING:
    from bioscan5m_hf.readers.base import ShardReader
    from bioscan5m_hf.storage.path import Location


class Format(NamedTuple):
    """A format of shards.

    Attributes:
        name: Its name in options; also the name of its modules.
        suffix: The suffix of its files.
        title: Its name in text; its classes are called ``<title>Reader`` and ``<title>Writer``.
    """

    name: str
    suffix: str
    title: str


_FORMATS: Final = (
    Format("parquet", ".parquet", "Parquet"),
    Format("arrow", ".arrow", "Arrow"),
    Format("webdataset", ".tar", "WebDataset"),
)
FORMATS: Final = {form.name: form for form in _FORMATS}
"""Every format, by its name."""

SUFFIXES: Final = {form.suffix: form for form in _FORMATS}
"""Every format, by the suffix of its files."""


def format_named(name: str) -> Format:
    """Find a format by its name.

    Raises:
        UnknownName: There is none; the message lists them.
    """
    if name not in FORMATS:
        raise UnknownName.of("format", name, FORMATS)
    return FORMATS[name]


def reader_class(form: Format) -> type[ShardReader]:
    """The class that reads shards of a format."""
    module = import_module(f"bioscan5m_hf.readers.{form.name}")
    return cast("type[ShardReader]", getattr(module, f"{form.title}Reader"))


def open_shard(path: Location) -> ShardReader:
    """The reader of a whole shard."""
    return reader_class(SUFFIXES[PurePosixPath(str(path)).suffix])(path)
