"""List the images of zips and unpacked folders as record batches, without reading the images."""

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
from bioscan5m_hf.release.find import Selection
from bioscan5m_hf.release.layout import ENDINGS, IMAGE_FOLDER, Archive, ImageFolder, is_appledouble
from bioscan5m_hf.release.zip_directory import ENCRYPTED, read_directory
from bioscan5m_hf.schema.columns import Split
from bioscan5m_hf.storage.inside import is_folder
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.prefetch import ReadAhead

IMAGE_SCHEMA: Final = pa.schema(
    [
        pa.field("source", pa.int32()),
        pa.field("rank", pa.int8()),
        pa.field("folder", pa.string()),
        pa.field("split", pa.string()),
        pa.field("processid", pa.string()),
        pa.field("ending", pa.int8()),
        pa.field("offset", pa.uint64()),
        pa.field("compressed", pa.uint64()),
        pa.field("size", pa.uint64()),
        pa.field("crc", pa.uint32()),
        pa.field("method", pa.uint16()),
    ]
)
"""One row for each image.

The name of an image is folder, processid and ``ENDINGS[ending]``. Offset, compressed, crc and
method are null for a plain file.
"""

LOCATION_COLUMNS: Final = (
    "source",
    "folder",
    "ending",
    "offset",
    "compressed",
    "size",
    "crc",
    "method",
)
"""The columns that say where the image of a specimen lies."""

_FOLDER_BATCH: Final = 8192
_CHUNK: Final = re.compile(r"(?:[0-9a-f]{1,2}/)?")
_LEADS_OUT: Final = "a link that leads out of the release"
_LOOKS_LIKE_IMAGE: Final = re.compile(r"(?i)\.jpe?g$")


@dataclass(frozen=True, slots=True)
class Stray:
    """A member of an archive or folder that is not an image where upstream puts images.

    Attributes:
        archive: The archive or folder.
        member: The name of the member.
        image: Whether it looks like an image, which would otherwise be lost unnoticed.
        detail: Why it is not read, as a phrase.
    """

    archive: str
    member: str
    image: bool
    detail: str = "not where upstream puts it"


OnStray = Callable[[Stray], None]


def source_paths(selection: Selection) -> list[str]:
    """The archives and folders of a selection; the index is the number of the source."""
    paths = [archive.path for archive in selection.archives]
    return [str(path) for path in (*paths, *(folder.path for folder in selection.folders))]


def source_labels(selection: Selection) -> list[str]:
    """The names of the sources for messages; the index is the number of the source."""
    labels = [archive.path.name for archive in selection.archives]
    return labels + [f"{folder.package}/{folder.split.name}" for folder in selection.folders]


def read_images(
    selection: Selection, splits: Sequence[Split], on_stray: OnStray
) -> Iterator[pa.RecordBatch]:
    """List the images of a package.

    Args:
        selection: Its archives and folders.
        splits: The splits to list; images of other splits are skipped.
        on_stray: Takes each member that is not an image where upstream puts images.

    Yields:
        Record batches of ``IMAGE_SCHEMA``.

    Raises:
        ArchiveError: An archive is damaged, or a listed image is encrypted.
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
        # The end record follows the directory, so over a network one request serves both.
        reader = source if isinstance(archive.path, Path) else ReadAhead(source)
        for block in read_directory(reader):
            parts = _part_names(block["name"])
            endings = _endings(parts["file"])
            # Paths in a zip of one split's folder do not name the package.
            of_package = pc.is_in(parts["package"], pa.array([archive.package, ""]))
            placed = pc.and_(
                pc.and_(of_package, pc.is_valid(parts["split"])),
                pc.and_(pc.is_valid(endings), pc.invert(pc.starts_with(parts["file"], "._"))),
            )
            placed = pc.fill_null(placed, False)
            if not pc.all(placed).as_py():
                _report_strays(archive.path.name, block["name"].filter(pc.invert(placed)), on_stray)
            parts = parts.append_column("ending", endings)
            chosen = pc.and_(placed, pc.is_in(parts["split"], wanted))
            batch = block
            if not pc.all(chosen).as_py():
                batch, parts = block.filter(chosen), parts.filter(chosen)
            _check_encryption(archive.path.name, batch)
            if batch.num_rows:
                yield _image_batch(number, archive.rank, batch, parts)


def _endings(files: pa.Array) -> pa.Array:
    """The index in ``ENDINGS`` of each name's ending; null without an ending, or without a stem."""
    longer = pc.greater(pc.binary_length(files), len(ENDINGS[0]))
    usual = pc.and_(pc.ends_with(files, ENDINGS[0]), longer)
    if pc.all(usual).as_py():
        return pa.array(np.zeros(len(files), np.int8))
    found = pa.nulls(len(files), pa.int8())
    for number, ending in reversed(list(enumerate(ENDINGS))):
        has = pc.and_(pc.ends_with(files, ending), pc.greater(pc.binary_length(files), len(ending)))
        found = pc.if_else(has, pa.scalar(number, pa.int8()), found)
    return found


def _part_names(names: pa.Array) -> pa.RecordBatch:
    """The folder (with its slash) and file of each name; package and split for image folders."""
    below = pc.match_substring(names, "/")
    if not pc.all(below).as_py():
        names = pc.if_else(below, names, pc.binary_join_element_wise("", names, "/"))
    parts = pc.split_pattern(names, "/", max_splits=1, reverse=True)
    folders = pc.list_element(parts, 0).dictionary_encode()
    # There are many members but few folders, so the pattern is matched once for each folder.
    whole = pc.binary_join_element_wise(folders.dictionary, "", "/")
    found = pc.extract_regex(whole, f"^{IMAGE_FOLDER}$")
    twins = pa.array([is_appledouble(name) for name in whole.to_pylist()], pa.bool_())
    split = pc.if_else(twins, pa.scalar(None, pa.string()), pc.struct_field(found, "split"))
    of_folder = pa.record_batch(
        [whole, pc.struct_field(found, "package"), split],
        names=["folder", "package", "split"],
    ).take(folders.indices)
    return of_folder.append_column("file", pc.list_element(parts, 1))


def _image_batch(
    number: int, rank: int, block: pa.RecordBatch, parts: pa.RecordBatch
) -> pa.RecordBatch:
    return pa.record_batch(
        [
            pa.array(np.full(block.num_rows, number, np.int32)),
            pa.array(np.full(block.num_rows, rank, np.int8)),
            parts["folder"],
            parts["split"],
            _stems(parts),
            parts["ending"],
            block["offset"],
            block["compressed"],
            block["size"],
            block["crc"],
            block["method"],
        ],
        schema=IMAGE_SCHEMA,
    )


def _stems(parts: pa.RecordBatch) -> pa.Array:
    """The names of files without their endings."""
    files = parts["file"].cast(pa.binary())
    stems = pc.binary_slice(files, 0, -len(ENDINGS[0]))
    for number, ending in enumerate(ENDINGS):
        if len(ending) != len(ENDINGS[0]):
            longer = pc.equal(parts["ending"], number)
            if pc.any(longer).as_py():
                stems = pc.if_else(longer, pc.binary_slice(files, 0, -len(ending)), stems)
    return stems.cast(pa.string())


def _report_strays(archive: str, names: pa.Array, on_stray: OnStray) -> None:
    for name in names.to_pylist():
        if not name.endswith("/"):
            on_stray(Stray(archive, name, _is_image(name)))


def _is_image(name: str) -> bool:
    return bool(_LOOKS_LIKE_IMAGE.search(name)) and not is_appledouble(name)


def _check_encryption(archive: str, block: pa.RecordBatch) -> None:
    encrypted = np.flatnonzero(block["flags"].to_numpy() & ENCRYPTED)
    if encrypted.size:
        raise ArchiveError(
            f"is encrypted, as its member {block['name'][int(encrypted[0])].as_py()}",
            where=archive,
            fix="upstream's archives are not: download it again",
        )


def _read_folder(number: int, folder: ImageFolder, on_stray: OnStray) -> Iterator[pa.RecordBatch]:
    rows: list[tuple[str, str, int, int]] = []
    top = folder.top.resolve()

    def leave(below: str, entry: os.DirEntry[str], detail: str) -> None:
        name = f"{below}{entry.name}"
        on_stray(Stray(str(folder.path), name, detail == _LEADS_OUT or _is_image(name), detail))

    if not folder.path.resolve().is_relative_to(top):
        on_stray(Stray(str(folder.path.parent), folder.path.name, True, _LEADS_OUT))
        return
    for below, entry, inside in _scan(folder.path, "", top):
        if not inside:
            leave(below, entry, _LEADS_OUT)
            continue
        stem, ending = _parts_of(entry.name)
        # Reading a pipe would wait for a writer, and a link may be broken.
        if (
            not stem
            or not _CHUNK.fullmatch(below)
            or is_appledouble(entry.name)
            or not _is_file(entry)
        ):
            leave(below, entry, "not where upstream puts it")
            continue
        rows.append((below, stem, ending, entry.stat().st_size))
        if len(rows) == _FOLDER_BATCH:
            yield _folder_batch(number, folder, rows)
            rows = []
    if rows:
        yield _folder_batch(number, folder, rows)


def _parts_of(name: str) -> tuple[str, int]:
    for number, ending in enumerate(ENDINGS):
        if name.endswith(ending):
            return name.removesuffix(ending), number
    return "", 0


def _resolved(path: os.PathLike[str]) -> Path:
    """The target of a path; ``Path.resolve`` would fail if links form a circle."""
    return Path(os.path.realpath(path))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _scan(
    path: os.PathLike[str], below: str, top: Path
) -> Iterator[tuple[str, os.DirEntry[str], bool]]:
    """List the files of a folder and of its chunk folders by name, and links that lead out.

    Yields:
        The subfolder of the entry, the entry, and whether it lies inside ``top``.
    """
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        where = os.fspath(path)
        raise ArchiveError(f"cannot be listed ({error.strerror})", where=where) from error
    for entry in listed:
        inside = not entry.is_symlink() or _resolved(entry).is_relative_to(top)
        if not inside or not is_folder(entry):
            yield below, entry, inside
        elif below.count("/") < 2:
            yield from _scan(entry, f"{below}{entry.name}/", top)


def _folder_batch(
    number: int, folder: ImageFolder, rows: list[tuple[str, str, int, int]]
) -> pa.RecordBatch:
    below, processids, endings, sizes = zip(*rows, strict=True)
    count = len(rows)
    return pa.record_batch(
        [
            pa.array(np.full(count, number, np.int32)),
            pa.array(np.full(count, folder.rank, np.int8)),
            pa.array(below, pa.string()),
            pa.array([folder.split.name] * count, pa.string()),
            pa.array(processids, pa.string()),
            pa.array(endings, pa.int8()),
            pa.nulls(count, pa.uint64()),
            pa.nulls(count, pa.uint64()),
            pa.array(sizes, pa.uint64()),
            pa.nulls(count, pa.uint32()),
            pa.nulls(count, pa.uint16()),
        ],
        schema=IMAGE_SCHEMA,
    )
