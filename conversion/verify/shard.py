"""Check one shard of a dataset folder, which is the unit of work of ``verify``."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from bioscan5m_hf.errors import counted
from bioscan5m_hf.jpeg import open_jpeg
from bioscan5m_hf.memory import require_memory
from bioscan5m_hf.schema.columns import COLUMNS, IMAGE_COLUMN, column_names
from bioscan5m_hf.storage.inside import require_regular
from conversion.files.atomic import Written, digest_of
from conversion.folder.manifest import ShardFile
from conversion.planning.tasks import ShardTask
from conversion.shards.build import read_blocks
from conversion.shards.read import BrokenShard, read_shard
from conversion.upload.copies import of_shard

_SHOWN = 5

Keys = npt.NDArray[np.void]
"""The md5 of each processid, 16 bytes each."""


class Undecodable(str):
    """A finding about an image that cannot be decoded, although its bytes are as converted."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class CheckTask:
    """A shard to check.

    Attributes:
        folder: The dataset folder, a path or a URL.
        file: The manifest's entry of the shard.
        split: Upstream's name of its split.
        image: Whether it has images.
        decode: Whether to decode every image.
        source: The task that would make the shard from the release, to compare it with the release.
    """

    folder: str
    file: ShardFile
    split: str
    image: bool
    decode: bool
    source: ShardTask | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking a shard.

    Attributes:
        file: The shard.
        findings: The problems that were found, one line each.
        keys: The md5 of each processid, in the order of the rows; ``None`` if it is unreadable.
    """

    file: ShardFile
    findings: tuple[str, ...]
    keys: Keys | None


def check_bytes(folder: Path, file: ShardFile) -> str | None:
    """Compare a file's length and digest with the manifest, and describe the difference."""
    path = folder / file.path
    try:
        # The length shows most damage without reading the file.
        size = require_regular(path).stat().st_size
        if size < file.bytes:
            return f"{file.path}: has {size:,} bytes instead of {file.bytes:,}"
        if size > file.bytes:
            return f"{file.path}: has more bytes than the {file.bytes:,} of the manifest"
        found = digest_of(path)
    except FileNotFoundError:
        return f"{file.path}: is missing"
    except OSError as error:
        require_memory(error)
        return f"{file.path}: cannot be read ({error.strerror})"
    if found != Written(file.bytes, file.xxh3):
        return f"{file.path}: its bytes were changed (XXH3 {found.xxh3})"
    return None


def check_shard(task: CheckTask) -> Checked:
    """Check one shard.

    Raises:
        ArchiveError: The release, or a remote folder, cannot be read.
    """
    with of_shard(task.folder, task.file) as folder:
        return _check_shard(task, folder)


def _check_shard(task: CheckTask, folder: Path) -> Checked:
    if problem := check_bytes(folder, task.file):
        return Checked(task.file, (problem,), None)
    try:
        keys, problems = _check_rows(folder / task.file.path, task)
        if task.source:
            problems += _compare(folder / task.file.path, task.source)
        undecodable = _decode(folder / task.file.path) if task.decode and task.image else []
    except BrokenShard as error:
        return Checked(task.file, (f"{task.file.path}: cannot be read back ({error})",), None)
    findings = [f"{task.file.path}: {text}" for text in problems]
    findings += [Undecodable(f"{task.file.path}: {text}") for text in undecodable]
    return Checked(task.file, tuple(findings), keys)


def _check_rows(path: Path, task: CheckTask) -> tuple[Keys, list[str]]:
    digests: list[bytes] = []
    problems: list[str] = []
    strangers = 0
    for batch in read_shard(path, ["processid", "split"]):
        names = batch.column("processid").to_pylist()
        if None in names:
            return np.zeros(0, "V16"), ["a row has no processid"]
        digests += [hashlib.md5(name.encode(), usedforsecurity=False).digest() for name in names]
        matching = pc.equal(batch.column("split"), task.split)
        strangers += batch.num_rows - (pc.sum(matching).as_py() or 0)
    if strangers:
        problems.append(f"has {counted(strangers, 'row')} of other splits than {task.split}")
    if len(digests) != task.file.rows:
        problems.append(f"has {counted(len(digests), 'row')} instead of {task.file.rows:,}")
    if any(later <= earlier for earlier, later in itertools.pairwise(digests)):
        problems.append("its rows are not in the order of md5(processid)")
    return np.frombuffer(b"".join(digests), "V16"), problems


def _decode(path: Path) -> list[str]:
    problems: list[str] = []
    for batch in read_shard(path, [IMAGE_COLUMN, "processid"]):
        data = pc.struct_field(batch.column(IMAGE_COLUMN), "bytes").to_pylist()
        for processid, image in zip(batch.column("processid").to_pylist(), data, strict=True):
            if problem := _undecodable(image):
                problems.append(f"the image of {processid} cannot be decoded ({problem})")
    return problems


def _undecodable(data: bytes) -> str | None:
    try:
        with open_jpeg(data) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        require_memory(error)
        return str(error)
    return None


def _compare(path: Path, source: ShardTask) -> list[str]:
    """Compare every image and every value with the release."""
    shard = _Rows(read_shard(path, [IMAGE_COLUMN, *column_names()]))
    problems: list[str] = []
    for block in read_blocks(source):
        if not len(block.images):
            continue
        found = shard.take(block.rows.num_rows)
        if found.num_rows < block.rows.num_rows:
            return [*problems, "it has fewer rows than the release"]
        images = pc.struct_field(found.column(IMAGE_COLUMN), "bytes")
        names = block.rows.column("processid").to_pylist()
        same = pc.fill_null(pc.equal(images, block.images), False)
        others = block.rows.column("processid").filter(pc.invert(same)).to_pylist()
        problems += [f"the image of {name} differs from the release" for name in others]
        for column in COLUMNS:
            ours, theirs = found.column(column.name), block.rows.column(column.name)
            if not ours.equals(theirs):
                problems.append(_first_difference(column.name, names, ours, theirs))
        if len(problems) > _SHOWN:
            return [*problems[:_SHOWN], "and more"]
    if shard.take(1).num_rows:
        problems.append("it has more rows than the release")
    return problems


def _first_difference(column: str, names: list[str], ours: pa.Array, theirs: pa.Array) -> str:
    pairs = zip(names, ours.to_pylist(), theirs.to_pylist(), strict=True)
    name, here, there = next((n, a, b) for n, a, b in pairs if a != b)
    return f"{column} of {name} is {here!r:.60}, in the release {there!r:.60}"


class _Rows:
    """Takes any number of rows from a stream of batches."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: list[pa.RecordBatch] = []

    def take(self, count: int) -> pa.RecordBatch:
        while sum(batch.num_rows for batch in self._held) < count:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._held.append(batch)
        if not self._held:
            return pa.RecordBatch.from_pylist([])
        table = pa.Table.from_batches(self._held)
        self._held = table.slice(count).to_batches()
        batches = table.slice(0, count).combine_chunks().to_batches()
        return batches[0] if batches else pa.RecordBatch.from_pylist([])
