"""Convert a release into a dataset folder in one call."""

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

# How many blocks (of 4 MB) of metadata are parsed ahead while the rest of a conversion starts.
_METADATA_AHEAD: Final = 24


def convert(options: ConvertOptions, watcher: Watcher, sink: Sink | None = None) -> Summary:
    """Convert a release into a dataset folder.

    Args:
        options: What to convert, and how.
        watcher: Receives messages and progress.
        sink: Uploads finished shards; by default they stay in the folder.

    Raises:
        BioscanError: See the tree in ``bioscan5m_hf.errors``; no file is left half-written.
    """
    with watcher.progress("looking for the release"):
        release = locate_release(options.release)
    require_room_for(release.metadata)
    bad_rows: list[BadRow] = []
    notes: list[str] = []
    keep = bad_rows.append if options.record else None
    batches = read_metadata(release.metadata, keep, notes.append)
    # Workers start first, because forking is fastest from a process without threads.
    with (
        open_pool(options) or nullcontext() as workers,
        closing(Ahead(batches, start=_METADATA_AHEAD)) as reading,
    ):
        # Not at the top: this import takes as long as reading hundreds of megabytes of metadata.
        from conversion.pipeline.steps import run

        opened = OpenedRelease(release, reading, bad_rows, notes)
        return run(options, opened, watcher, workers, sink)
