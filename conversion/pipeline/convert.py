"""Convert a release into a dataset folder: the one call that does it."""

from __future__ import annotations

from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Final

from bioscan5m_hf.release.metadata.read import BadRow, read_metadata
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.storage.prefetch import Ahead
from conversion.memory import require_room_for
from conversion.pipeline.inputs import OpenedRelease
from conversion.pipeline.options import ConvertOptions
from conversion.pipeline.workers import open_pool
from conversion.progress import Watcher

if TYPE_CHECKING:
    from conversion.pipeline.interfaces import Sink
    from conversion.pipeline.outcome import Summary

# Blocks of 4 MB: what is parsed while the rest of a conversion gets ready.
_METADATA_AHEAD: Final = 24


def convert(options: ConvertOptions, watcher: Watcher, sink: Sink | None = None) -> Summary:
    """Convert a release into a dataset folder.

    Args:
        options: What to convert, and how.
        watcher: Told how it goes.
        sink: Takes finished shards away; by default they stay in the folder.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``; nothing is left half-written.
    """
    with watcher.progress("looking for the release"):
        release = locate_release(options.release)
    require_room_for(release.metadata)
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
        from conversion.pipeline.steps import run

        opened = OpenedRelease(release, reading, bad_rows, notes)
        return run(options, opened, watcher, workers, sink)
