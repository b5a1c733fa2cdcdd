"""Write images into upstream's archives, or into its tree of folders."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from shutil import copyfileobj
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, package_named
from bioscan5m_hf.schema.upstream import PREFIXES
from conversion.files.atomic import AtomicFile
from conversion.synthetic.images import Body, deflated_jpeg, head_of
from conversion.synthetic.options import NAMES, Layout, Names

TREE: Final = "bioscan5m/"
# 1 June 2024, 12:00: equal input gives equal bytes only with a time that stands still.
DATE: Final = (2024, 6, 1, 12, 0, 0)

_PARTS: Final = 2
_AT_ONCE: Final = 4_096  # specimens

_STAMP: Final = (DATE[3] << 11, (DATE[0] - 1980) << 9 | DATE[1] << 5 | DATE[2])
_PLAIN, _ZIP64, _UNIX = 20, 45, 3 << 8  # versions of the format, and the system
_FILE_MODE: Final = 0o100644 << 16
_FOLDER_MODE: Final = 0o040755 << 16 | 0x10  # the low bit is what DOS calls a folder
_MAX_16: Final = 0xFFFF
_MAX_32: Final = 0xFFFFFFFF


class Member(NamedTuple):
    """An image: its path, with slashes, its first bytes and the others; or a folder without any."""

    name: str
    head: bytes = b""
    body: Body | None = None


def archives(
    package: str, people: NDArray[Any], layout: Layout, names: Names
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Divide the images of a package among archives.

    Yields:
        The name of each archive, and the numbers of its specimens, by split, by folder within the
        split and by processid within the folder as upstream has them.
    """
    order = np.lexsort((people["processid"], people["chunk"], people["split"]))
    # The Hub calls a package as its folder is called, the other naming by its shortest name.
    stems = (package, package_named(package).stems[-1])
    stem = PREFIXES[NAMES.index(names)] + stems[NAMES.index(names)]
    if layout == "groups":
        partition = np.array([PARTITIONS.index(split.partition) for split in SPLITS])
        group = partition[people["split"][order]]
        for number, name in enumerate(PARTITIONS):
            yield f"{stem}_{name}.zip", order[group == number]
    elif layout == "parts":
        for number, members in enumerate(np.array_split(order, _PARTS), start=1):
            yield f"{stem}.{number:02d}.zip", members
    else:
        yield f"{stem}.zip", order


def members(
    package: str, people: NDArray[Any], order: NDArray[np.int64], body: Callable[[int], Body]
) -> Iterator[Member]:
    """The images of the specimens in ``order``, and before them the folders that they lie in."""
    entered = {""}
    some = (order[start : start + _AT_ONCE] for start in range(0, len(order), _AT_ONCE))
    for processid, split, chunk, _, shown in (row for at in some for row in people[at].tolist()):
        folder = f"{TREE}images/{package}/{SPLITS[split].name}/"
        if chunk:
            folder += f"{chunk.decode()}/"
        if folder not in entered:
            for at in range(folder.count("/")):
                parent = "/".join(folder.split("/")[: at + 1]) + "/"
                if parent not in entered:
                    entered.add(parent)
                    yield Member(parent)
        name = processid.decode()
        yield Member(f"{folder}{name}.jpg", head_of(name), body(shown))


def write_tree(root: Path, found: Iterable[Member]) -> Iterator[None]:
    """Write members as plain files; yields after every file."""
    for name, head, body in found:
        if body:
            (root / name).write_bytes(head + body.plain)
            yield
        else:
            (root / name).mkdir(exist_ok=True)


def write_archive(path: Path, found: Iterable[Member]) -> Iterator[None]:
    """Write a zip that appears when it is whole; yields after every file."""
    with AtomicFile(path) as file:
        yield from write_zip(file, found, path.parent)


def write_zip(file: BinaryIO | AtomicFile, found: Iterable[Member], folder: Path) -> Iterator[None]:
    """Write a zip of millions of small members in little memory, which ``zipfile`` cannot.

    The directory is written to a nameless file in ``folder`` meanwhile, and Zip64 records where
    the plain ones are too small.

    Yields:
        After every file.
    """
    count = 0
    with tempfile.TemporaryFile(dir=folder) as directory:
        for name, head, body in found:
            count += 1
            packed, crc, size = deflated_jpeg(head, body) if body else (b"", 0, 0)
            start = file.tell()
            far = struct.pack("<HHQ", 1, 8, start) if start >= _MAX_32 else b""
            version = _ZIP64 if far else _PLAIN
            common = struct.pack(
                "<HHHHHIIIH",
                *(version, 0, 8 if body else 0, *_STAMP, crc, len(packed), size, len(name)),
            )
            path = name.encode("ascii")
            file.write(b"PK\x03\x04" + common + b"\0\0" + path + packed)
            mode = _FILE_MODE if body else _FOLDER_MODE
            rest = struct.pack("<HHHHII", len(far), 0, 0, 0, mode, min(start, _MAX_32))
            made_by = struct.pack("<H", _UNIX | version)
            directory.write(b"PK\x01\x02" + made_by + common + rest + path + far)
            if body:
                yield
        start, length = file.tell(), directory.tell()
        directory.seek(0)
        copyfileobj(directory, file, 1 << 20)
    if count >= _MAX_16 or start >= _MAX_32 or length >= _MAX_32:
        versions, totals = (_UNIX | _ZIP64, _ZIP64), (0, 0, count, count, length, start)
        file.write(struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, *versions, *totals))
        file.write(struct.pack("<4sIQI", b"PK\x06\x07", 0, start + length, 1))
    short, end = min(count, _MAX_16), (min(length, _MAX_32), min(start, _MAX_32), 0)
    file.write(struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, short, short, *end))
