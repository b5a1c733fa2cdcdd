"""Make one shard: read its members and its rows, check each image, write the file.

A task holds only small values that can be pickled, and running it twice gives the same file.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import ImageError
from bioscan5m_hf.release.image import MEMBER_COLUMNS, name_of, read_image
from bioscan5m_hf.release.zip_member import (
    MAX_IMAGE_BYTES,
    MEANINGS,
    Flaw,
    FlawedImage,
    read_sound,
)
from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.storage.local import LocalFile, Source
from bioscan5m_hf.storage.path import is_remote
from bioscan5m_hf.storage.prefetch import ahead
from bioscan5m_hf.storage.ranges import plan_window
from conversion.catalogue.members import read_members
from conversion.catalogue.rows import RowReader
from conversion.files.atomic import Unseen, Written
from conversion.formats.registry import writer_named
from conversion.planning.shards import Shard
from conversion.planning.tasks import ShardTask
from conversion.rejects import Finding
from conversion.shards.images import BlockMemory, JoinedImages
from conversion.shards.prefetch import AHEAD, reads_of, with_prefetch
from conversion.shards.remote_sources import RemoteSources

if TYPE_CHECKING:
    from conversion.derive.specimens import Maker


@dataclass(frozen=True, slots=True)
class ShardResult:
    """The result of making a shard.

    Attributes:
        shard: The shard.
        rows: How many specimens were written.
        image_bytes: The total size of their images, without the overhead of the format.
        written: Length and digest of the file; ``None`` if no specimen was left to write.
        rejects: The specimens that were left out, and why.
    """

    shard: Shard
    rows: int
    image_bytes: int
    written: Written | None
    rejects: tuple[Finding, ...] = field(default=())


OnImages = Callable[[int, int], None]
"""Called with the number of images, and of their bytes, finished since the last call."""


@dataclass(frozen=True, slots=True)
class MadeShard:
    """A shard that is written, but does not have its final name yet.

    Attributes:
        result: The result of making it.
        file: Its file; ``None`` if no specimen was left to write.
    """

    result: ShardResult
    file: Unseen | None

    def settle(self) -> ShardResult:
        """Wait until the file has reached the disk, and give it its final name.

        Raises:
            OutputError: One of these steps failed.
        """
        if self.file:
            self.file.settle()
        return self.result


def make_shard(task: ShardTask, on_images: OnImages | None = None) -> ShardResult:
    """Make one shard completely.

    Args:
        task: What to make.
        on_images: Called after each block.

    Raises:
        BioscanError: See ``write_shard``.
    """
    return write_shard(task, on_images).settle()


def write_shard(task: ShardTask, on_images: OnImages | None = None) -> MadeShard:
    """Write one shard; the caller must settle it.

    Args:
        task: What to make.
        on_images: Called after each block.

    Raises:
        ImageError: An image is flawed, and flaws are not recorded.
        ArchiveError: A source cannot be read.
        OutputError: The shard cannot be written.
    """
    rejects: list[Finding] = []
    total = 0
    with (
        writer_named(task.format)(task.final_path(), image=True) as writer,
        closing(_read_blocks(task)) as blocks,
    ):
        if task.vocabularies:
            writer.add_to_samples(task.extras, Path(task.vocabularies))
        for block in blocks:
            if len(block.images):
                writer.write(block.rows, block.images)
            rejects += block.rejects
            plain = pc.sum(pc.binary_length(block.images)).as_py() or 0
            total += plain
            if on_images:
                on_images(len(block.images), plain)
            # The next block reuses its memory.
            del block
        if not writer.rows:
            writer.discard()
            return MadeShard(ShardResult(task.shard, 0, 0, None, tuple(rejects)), None)
        file = writer.hand_over()
    result = ShardResult(task.shard, writer.rows, total, file.written, tuple(rejects))
    return MadeShard(result, file)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive specimens of a shard: a row group, or a record batch.

    Attributes:
        rows: Upstream's columns, one row for each image.
        images: The bytes of each image.
        rejects: The specimens of this block that were left out.
    """

    rows: pa.RecordBatch
    images: pa.BinaryArray
    rejects: list[Finding]


def _read_blocks(task: ShardTask) -> Generator[Block]:
    """Read the blocks of a shard, in a second thread if a source is remote or a folder.

    Members of local archives are prefetched by the system. A second thread would only take
    processor time from another worker.
    """
    blocks = read_blocks(task)
    waited_for = any(is_remote(path) or Path(path).is_dir() for path in task.sources)
    return ahead(blocks) if waited_for else blocks


def read_blocks(task: ShardTask) -> Generator[Block]:
    """Read the specimens of a shard.

    Args:
        task: The task of the shard.

    Yields:
        Blocks of its specimens in order, without those that have flawed images.

    Raises:
        ImageError: An image is flawed, and flaws are not recorded.
        ArchiveError: A source cannot be read.
    """
    whole = read_members(task.members, task.shard.start, task.shard.stop)
    rows = RowReader(task.rows, whole["position"].to_numpy())
    with _Sources(task, whole) as sources:
        reader = _BlockReader(task, sources)
        for members in with_prefetch(_blocks(task, whole), sources.expect):
            yield reader.read(members, rows.take(members.num_rows))


class _Kept(threading.local):
    """The state that a thread keeps from shard to shard."""

    def __init__(self) -> None:
        self.memory = BlockMemory()


_kept = _Kept()


class _BlockReader:
    """Reads the images of one block after another."""

    def __init__(self, task: ShardTask, sources: _Sources) -> None:
        self._task = task
        self._sources = sources
        self._make = _maker(task)

    def read(self, members: pa.Table, rows: pa.RecordBatch) -> Block:
        make = self._make
        expected = int(_image_sizes(members, self._task).sum())
        images = JoinedImages(_kept.memory.lend(expected))
        kept: list[int] = []
        rejects: list[Finding] = []
        # Making a dict for each row takes longer than the rest, so they are made only if needed.
        entries: list[dict[str, Any]] = []
        for index, sound in enumerate(self._sources.read_sound(members)):
            image = sound
            if image is None or make:
                entries = entries or members.to_pylist()
                entry = entries[index]
                try:
                    image = image or self._sources.read(entry)
                    image = make(image, entry, rows, index) if make else image
                except FlawedImage as flawed:
                    rejects.append(_reject(self._task, entry, flawed))
                    continue
            images.add(image)
            kept.append(index)
        if rejects:
            rows = rows.take(pa.array(kept, pa.int32()))
        return Block(rows, images.array(), rejects)


def _maker(task: ShardTask) -> Maker | None:
    if task.recipe is None:
        return None
    # Not at the top: its libraries are not needed if images pass through.
    from conversion.derive.specimens import maker

    return maker(task.recipe)


def _blocks(task: ShardTask, members: pa.Table) -> Iterator[pa.Table]:
    """The members of the shard, cut into the blocks of its format."""
    kind = writer_named(task.format)
    sizes = _image_sizes(members, task)
    start = 0
    while start < members.num_rows:
        reached = np.cumsum(sizes[start : start + kind.block_rows])
        count = max(1, int(np.searchsorted(reached, kind.block_bytes, side="right")))
        yield members.slice(start, count)
        start += count


def _image_sizes(members: pa.Table, task: ShardTask) -> npt.NDArray[np.int64]:
    """The size of each image in bytes; the expected size if it is derived from another image."""
    planned = members["planned" if task.recipe else "size"].to_numpy()
    sizes: npt.NDArray[np.int64] = np.minimum(planned, MAX_IMAGE_BYTES)
    return sizes


def _reject(task: ShardTask, entry: dict[str, int | str], flawed: FlawedImage) -> Finding:
    label = task.labels[int(entry["source"])]
    member = name_of(entry)
    if not task.record:
        raise ImageError(
            f"{MEANINGS[flawed.flaw]} ({flawed.detail})",
            where=f"{label}: {member}",
            fix=f"{_FIXES.get(flawed.flaw, 'download the archive again')}, or convert with "
            "--on-error record to leave it out",
        ) from flawed
    split = SPLITS[int(entry["split_number"])].name
    return Finding(flawed.flaw.value, str(entry["processid"]), split, label, member, flawed.detail)


_OTHER_BOXES: Final = "use the bounding boxes that belong to the release"
_FIXES: Final = dict.fromkeys(
    (Flaw.OTHER_SIZE, Flaw.MISSING_BOX, Flaw.BAD_BOX, Flaw.BOX_MISMATCH), _OTHER_BOXES
)


class _Sources:
    """The archives and folders of a task, opened when first needed."""

    def __init__(self, task: ShardTask, members: pa.Table) -> None:
        self._paths = task.sources
        self._open: dict[int, Source] = {}
        self._remote = RemoteSources(task.sources, members, task.hold)

    def read_sound(self, members: pa.Table) -> Iterator[bytes | bytearray | None]:
        """Yield the image of each row; ``None`` if only ``read`` can read it or report its flaw."""
        sources = members["source"].to_numpy()
        edges = [0, *(np.flatnonzero(np.diff(sources)) + 1).tolist(), len(sources)]
        for start, stop in itertools.pairwise(edges):
            part = members.slice(start, stop - start)
            if part["offset"].null_count:
                yield from itertools.repeat(None, part.num_rows)
            else:
                places = zip(
                    *(part[name].to_numpy().tolist() for name in MEMBER_COLUMNS), strict=True
                )
                yield from read_sound(self._source(int(sources[start])).read_at, places)

    def expect(self, members: pa.Table) -> None:
        """Announce members that will be read, so that the system prefetches the local ones."""
        reads = reads_of(members, [not is_remote(path) for path in self._paths])
        for request in plan_window(reads, AHEAD).requests:
            source = self._source(request.source)
            assert isinstance(source, LocalFile)
            source.will_read(request.start, request.stop - request.start)

    def read(self, entry: dict[str, int]) -> bytes | bytearray:
        """Return the image of a row; raises ``FlawedImage`` if it is flawed."""
        number = entry["source"]
        plain_file = entry["offset"] is None
        return read_image(entry, Path(self._paths[number]) if plain_file else self._source(number))

    def _source(self, number: int) -> Source:
        source = self._open.get(number)
        if source is None:
            path = self._paths[number]
            source = self._remote.open(number) if is_remote(path) else LocalFile(path)
            self._open[number] = source
        return source

    def __enter__(self) -> _Sources:
        return self

    def __exit__(self, *exception: object) -> None:
        for source in self._open.values():
            source.close()
        self._remote.close()
