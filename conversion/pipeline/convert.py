"""Convert a release into a dataset folder: what is asked for, and the one call that does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa

from bioscan5m_hf.release.find import Release
from bioscan5m_hf.release.metadata.read import BadRow, read_metadata
from bioscan5m_hf.release.remote import locate_release
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import Ahead
from bioscan5m_hf.storage.windows import DEFAULT_HOLD
from conversion.executors.opening import open_pool

if TYPE_CHECKING:
    from conversion.executors.dask import ClusterOptions
    from conversion.pipeline.result import Summary
    from conversion.upload.sink import Sink

DEFAULT_SHARD_BYTES: Final = 500_000_000
# Blocks of 4 MB: what is parsed while the rest of a conversion gets ready.
_METADATA_AHEAD: Final = 24


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """What to convert, and how.

    Attributes:
        release: The folder of the release, or the URL of it.
        output: The dataset folder.
        workers: How many processes work on this machine; without a cluster, each makes a shard at a
            time.
        packages: The packages; none for every package that is found.
        splits: The splits; none for every split that there are images of.
        shard_bytes: The size that a shard should have at most.
        format: The format of the shards.
        record: Leave out and record what is flawed, instead of stopping.
        subset: The release is a selection on purpose: specimens without an image are left out, and
            images without a specimen are passed over. Damage is an error still.
        restart: Throw away what was made from other input or with other options.
        name: What examples call it: the repository it is going to be published to.
        derive: Make the packages from others of the release.
        derive_from: The package to make them from; none to choose.
        short_side: The shorter side in pixels of what is derived, where it is not in the name.
        cluster: Makes the shards in the place of this machine.
        read_ahead: How many bytes of remote archives all workers together hold at a time.
    """

    release: Location
    output: Path
    workers: int
    packages: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    shard_bytes: int = DEFAULT_SHARD_BYTES
    format: str = "parquet"
    record: bool = False
    subset: bool = False
    restart: bool = False
    name: str | None = None
    derive: bool = False
    derive_from: str | None = None
    short_side: int | None = None
    cluster: ClusterOptions | None = None
    read_ahead: int | None = None

    @property
    def hold(self) -> int:
        """How many bytes of remote archives one worker may hold."""
        return self.read_ahead // self.workers if self.read_ahead else DEFAULT_HOLD


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
