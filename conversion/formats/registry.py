"""Find the writer of a format, and import it only then."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from bioscan5m_hf.readers.formats import format_named

if TYPE_CHECKING:
    from conversion.formats.base import ShardWriter


def writer_named(name: str) -> type[ShardWriter]:
    """Find the writer of a format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    form = format_named(name)
    module = import_module(f"conversion.formats.{form.name}")
    return cast("type[ShardWriter]", getattr(module, f"{form.title}Writer"))


def metadata_writer(name: str) -> type[ShardWriter]:
    """Find the writer of the metadata in a folder of this format.

    Raises:
        UnknownName: There is no such format; the message lists them.
    """
    writer = writer_named(name)
    return writer.metadata_writer or writer
