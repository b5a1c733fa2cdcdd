"""Where images lie: the directories of zips and unpacked folders, as record batches."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.release.find import (
    IMAGE_ENDING,
    IMAGE_FOLDER,
    IMAGE_PATH,
    Archive,
    ImageFolder,
    Selection,
)
from bioscan5m_hf.release.zip_directory import ENCRYPTED, read_directory
from bioscan5m_hf.remote import ReadAhead, open_location
from bioscan5m_hf.schema.columns import Split

IMAGE_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.int32()),
        pa.field("rank", pa.int8()),
        pa.field("folder", pa.string()),
        pa.field("split", pa.string()),
        pa.field("processid", pa.string()),
        pa.field("offset", pa.uint64()),
        pa.field("compressed", pa.uint64()),
        pa.field("size", pa.uint64()),
        pa.field("crc", pa.uint32()),
        pa.field("method", pa.uint16()),
    ]
)
"""One row an image; offset, compressed, crc and method are null for a plain file."""

_FOLDER_BATCH: Final = 8192
_LOOKS_LIKE_IMAGE: Final = re.compile(r"(?i)\.jpe?g$")
_RESOURCE_FORK: Final = re.compile(r"(?:^|/)(?:__MACOSX/|\._)")


@dataclass(frozen=True, slots=True)
class Stray:
    """Something in an archive that is neither a folder nor an image in its place.

    Attributes:
        archive: The archive or folder.
        member: Its name.
        image: Whether it looks like an image, which then nobody would miss.
    """

    archive: str
    member: str
    image: bool


OnStray = Callable[[Stray], None]


def source_paths(selection: Selection) -> list[str]:
    """The archives and folders of a selection, in the order that numbers them."""
    paths = [archive.path for archive in selection.archives]
    return [str(path) for path in (*paths, *(folder.path for folder in selection.folders))]


def source_labels(selection: Selection) -> list[str]:
    """How messages name the sources, in the order that numbers them."""
    labels = [archive.path.name for archive in selection.archives]
    return labels + [f"{folder.package}/{folder.split.name}" for folder in selection.folders]


def read_images(
    selection: Selection, splits: Sequence[Split], on_stray: OnStray
) -> Iterator[pa.RecordBatch]:
    """List the images of a package.

    Args:
        selection: Its archives and folders.
        splits: The splits that are wanted; images of others are passed over.
        on_stray: Takes what is neither a folder nor an image in its place.

    Yields:
        Record batches of ``IMAGE_SCHEMA``.

    Raises:
        ArchiveError: An archive is damaged, or a member that is wanted is encrypted.
    """
    wanted = pa.array([split.name for split in splits], pa.string())
    for number, archive in enumerate(selection.archives):
        yield from _read_archive(number, archive, wanted, on_stray)
    for number, folder in enumerate(selection.folders, start=len(selection.archives)):
        if folder.split in splits:
            yield from _read_folder(number, folder, on_stray)


def _read_archive(
    number: int, archive: Archive, wanted: pa.Array, on_stray: OnStray
) -> Iterator[pa.RecordBatch]:
    with open_location(archive.path) as source:
        # Tail and directory lie side by side: over a network one request is to serve both.
        reader = source if isinstance(archive.path, Path) else ReadAhead(source)
        for block in read_directory(reader):
            parts = _part_names(block["name"])
            placed = pc.and_(
                pc.equal(parts["package"], archive.package),
                pc.and_(
                    pc.ends_with(parts["file"], IMAGE_ENDING),
                    pc.greater(pc.binary_length(parts["file"]), len(IMAGE_ENDING)),
                ),
            )
            placed = pc.fill_null(placed, False)
            if not pc.all(placed).as_py():
                _report_strays(archive.path.name, block["name"].filter(pc.invert(placed)), on_stray)
            chosen = pc.and_(placed, pc.is_in(parts["split"], wanted))
            batch, parts = block.filter(chosen), parts.filter(chosen)
            _check_encryption(archive.path.name, batch)
            if batch.num_rows:
                yield _image_batch(number, archive.rank, batch, parts)


def _part_names(names: pa.Array) -> pa.RecordBatch:
    """Folder (with its slash) and file of each name; package and split where it is upstream's."""
    slashed = pc.if_else(
        pc.match_substring(names, "/"), names, pc.binary_join_element_wise("", names, "/")
    )
    parts = pc.split_pattern(slashed, "/", max_splits=1, reverse=True)
    folders = pc.list_element(parts, 0).dictionary_encode()
    # Members are many, folders are few: a pattern is looked for in those only. Arrow's engine
    # writes a named group as Python does before version 3, with a P.
    pattern = re.sub(r"\(\?P?<", "(?P<", IMAGE_FOLDER.pattern)
    whole = pc.binary_join_element_wise(folders.dictionary, "", "/")
    found = pc.extract_regex(whole, f"^{pattern}$")
    of_folder = pa.record_batch(
        [whole, pc.struct_field(found, "package"), pc.struct_field(found, "split")],
        names=["folder", "package", "split"],
    ).take(folders.indices)
    return of_folder.append_column("file", pc.list_element(parts, 1))


def _image_batch(
    number: int, rank: int, block: pa.RecordBatch, parts: pa.RecordBatch
) -> pa.RecordBatch:
    stems = pc.binary_slice(parts["file"].cast(pa.binary()), 0, -len(IMAGE_ENDING))
    return pa.record_batch(
        [
            pa.array(np.full(block.num_rows, number, np.int32)),
            pa.array(np.full(block.num_rows, rank, np.int8)),
            parts["folder"],
            parts["split"],
            stems.cast(pa.string()),
            block["offset"],
            block["compressed"],
            block["size"],
            block["crc"],
            block["method"],
        ],
        schema=IMAGE_SCHEMA,
    )


def _report_strays(archive: str, names: pa.Array, on_stray: OnStray) -> None:
    for name in names.to_pylist():
        if not name.endswith("/"):
            on_stray(Stray(archive, name, _is_image(name)))


def _is_image(name: str) -> bool:
    return bool(_LOOKS_LIKE_IMAGE.search(name)) and not _RESOURCE_FORK.search(name)


def _check_encryption(archive: str, block: pa.RecordBatch) -> None:
    encrypted = np.flatnonzero(block["flags"].to_numpy() & ENCRYPTED)
    if encrypted.size:
        raise ArchiveError(
            f"is encrypted, as its member {block['name'][int(encrypted[0])].as_py()}",
            where=archive,
            fix="upstream's archives are not: download it again",
        )


def _read_folder(number: int, folder: ImageFolder, on_stray: OnStray) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[str, str, int]] = []
    prefix = f"images/{folder.package}/{folder.split.name}/"
    for below, entry in _scan(folder.path, ""):
        name = f"{prefix}{below}{entry.name}"
        match = IMAGE_PATH.fullmatch(name)
        # A pipe would be waited for, a link may lead nowhere.
        if match is None or not entry.is_file():
            on_stray(Stray(str(folder.path), f"{below}{entry.name}", _is_image(name)))
            continue
        rows.append((below, match["processid"], entry.stat().st_size))
        if len(rows) == _FOLDER_BATCH:
            yield _folder_batch(number, folder, rows)
            rows = []
    if rows:
        yield _folder_batch(number, folder, rows)


def _scan(path: os.PathLike[str], below: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files of a folder and of the chunk folders in it, by name."""
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ArchiveError(f"cannot be listed ({error.strerror})", where=str(path)) from error
    for entry in listed:
        if not entry.is_dir():
            yield below, entry
        elif below.count("/") < 2:
            yield from _scan(entry, f"{below}{entry.name}/")


def _folder_batch(
    number: int, folder: ImageFolder, rows: list[tuple[str, str, int]]
) -> pa.RecordBatch:
    below, processids, sizes = zip(*rows, strict=True)
    count = len(rows)
    return pa.record_batch(
        [
            pa.array(np.full(count, number, np.int32)),
            pa.array(np.full(count, folder.rank, np.int8)),
            pa.array(below, pa.string()),
            pa.array([folder.split.name] * count, pa.string()),
            pa.array(processids, pa.string()),
            pa.nulls(count, pa.uint64()),
            pa.nulls(count, pa.uint64()),
            pa.array(sizes, pa.uint64()),
            pa.nulls(count, pa.uint32()),
            pa.nulls(count, pa.uint16()),
        ],
        schema=IMAGE_SCHEMA,
    )
