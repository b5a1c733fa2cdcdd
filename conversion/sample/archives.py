"""Images in upstream's archives, or in its tree of folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, Package
from conversion.sample.options import Layout, Names
from conversion.sample.package import checksum, deflated_head, head
from conversion.sample.roll import Roll
from conversion.sample.store import BodyStore
from conversion.sample.zipwriter import ZipWriter

TREE: Final = "bioscan5m/"

_PREFIXES: Final[dict[Names, str]] = {"hub": "BIOSCAN_5M_", "seed": "BIOSCAN_"}
_LARGEST_PART: Final = 38_000_000_000  # bytes; upstream keeps its parts under 40 GB
_FEWEST_PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class Archive:
    """One zip of images.

    Attributes:
        name: Its file name.
        members: Numbers of the specimens whose images it holds, in order.
    """

    name: str
    members: NDArray[np.int64]


def archives(
    package: Package, roll: Roll, *, layout: Layout, names: Names, mean_size: float
) -> Iterator[Archive]:
    """Divide the images of a package among archives.

    Args:
        package: The package.
        roll: The specimens.
        layout: How to divide them; not ``folder``.
        names: How to name the archives.
        mean_size: Of an image, in bytes.
    """
    order = roll.order()
    # The Hub calls a package as its folder is called, the other naming by its shortest name.
    stem = _PREFIXES[names] + (package.name if names == "hub" else package.stems[-1])
    if layout == "groups":
        partition = np.array([PARTITIONS.index(split.partition) for split in SPLITS])
        group = partition[roll.splits[order]]
        for number, name in enumerate(PARTITIONS):
            yield Archive(f"{stem}_{name}.zip", order[group == number])
    elif layout == "parts":
        parts = max(_FEWEST_PARTS, int(len(order) * mean_size / _LARGEST_PART) + 1)
        for number, members in enumerate(np.array_split(order, parts), start=1):
            yield Archive(f"{stem}.{number:02d}.zip", members)
    else:
        yield Archive(f"{stem}.zip", order)


def write_archive(
    path: Path, package: str, roll: Roll, members: NDArray[np.int64], store: BodyStore
) -> Iterator[int]:
    """Write one zip of images.

    Args:
        path: The zip.
        package: The name of the folder of its images.
        roll: The specimens.
        members: Numbers of the specimens whose images it holds, in order.
        store: The images of the package.

    Yields:
        1 after every image.
    """
    entered: set[str] = set()
    with ZipWriter(path) as archive:
        for specimen in members.tolist():
            folder = f"{TREE}images/{package}/{roll.folder(specimen)}"
            if folder not in entered:
                for parent in _folders(folder):
                    if parent not in entered:
                        archive.add_folder(parent)
                        entered.add(parent)
            processid = roll.processid(specimen)
            first = head(processid)
            body = store.read(roll.portraits[specimen])
            archive.add_deflated(
                f"{folder}{processid}.jpg",
                deflated_head(first) + body.deflated,
                crc=checksum(first, body.plain),
                size=len(first) + len(body.plain),
            )
            yield 1


def write_tree(root: Path, package: str, roll: Roll, store: BodyStore) -> Iterator[int]:
    """Write the images of a package as plain files.

    Args:
        root: The folder of the release.
        package: The name of the folder of its images.
        roll: The specimens.
        store: The images of the package.

    Yields:
        The size of every file, in bytes.
    """
    entered: set[str] = set()
    for specimen in roll.order().tolist():
        folder = roll.folder(specimen)
        place = root / TREE / "images" / package / folder
        if folder not in entered:
            place.mkdir(parents=True, exist_ok=True)
            entered.add(folder)
        processid = roll.processid(specimen)
        data = head(processid) + store.read(roll.portraits[specimen]).plain
        (place / f"{processid}.jpg").write_bytes(data)
        yield len(data)


def _folders(path: str) -> Iterator[str]:
    """A folder's parents and itself, outermost first."""
    names = path.rstrip("/").split("/")
    for depth in range(1, len(names) + 1):
        yield "/".join(names[:depth]) + "/"
