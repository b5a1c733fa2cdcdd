"""Convert a release into a dataset folder: the one call that does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa

from bioscan5m_hf.release.find import Release
from bioscan5m_hf.release.metadata.read import BadRow, read_metadata
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.storage.prefetch import Ahead
from conversion.pipeline.opening import open_pool
from conversion.pipeline.options import ConvertOptions

if TYPE_CHECKING:
    from conversion.pipeline.result import Summary
    from conversion.upload.sink import Sink

# Blocks of 4 MB: what is parsed while the rest of a conversion gets ready.
_METADATA_AHEAD: Final = 24


@dataclass(frozen=True, slots=True)
class OpenedRelease:
    """A release whose metadata are being read.

    Attributes:
        release: Its files.
        batches: What ``read_metadata`` yields.
        bad_rows: The records that were left out until now.
        notes: What is to be said of the metadata until now, as sentences.
    """

    release: Release
    batches: Iterator[pa.RecordBatch]
    bad_rows: list[BadRow]
    notes: list[str]


class Reporter(Protocol):
    """Told how a conversion goes."""

    def say(self, text: str) -> None:
        """Something that the user should know."""
        ...

    def begin(self, images: int, done: int) -> None:
        """So many images are going to be converted, of which some are done."""
        ...

    def reached(self, images: int) -> None:
        """So many of those that were not done are done now."""
        ...

    def end(self) -> None:
        """All are done."""
        ...


def convert(options: ConvertOptions, reporter: Reporter, sink: Sink | None = None) -> Summary:
    """Convert a release into a dataset folder.

    Args:
        options: What to convert, and how.
        reporter: Told how it goes.
        sink: Takes finished shards away; by default they stay in the folder.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``; nothing is left half-written.
    """
    release = locate_release(options.release)
    bad_rows: list[BadRow] = []
    notes: list[str] = []
    keep = bad_rows.append if options.record else None
    batches = read_metadata(release.metadata, keep, notes.append)
    # Workers first, which are forked quickest from a process that has no threads.
    with (
        open_pool(options) or nullcontext() as workers,
        closing(Ahead(batches, start=_METADATA_AHEAD)) as reading,
    ):
        # Not at the top: it takes as long to import as hundreds of megabytes of metadata to read.
        from conversion.pipeline.run import run

        opened = OpenedRelease(release, reading, bad_rows, notes)
        return run(options, opened, reporter, workers, sink)
