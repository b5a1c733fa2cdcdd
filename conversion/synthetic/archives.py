"""Write images into upstream's archives, or into its tree of folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, Package
from bioscan5m_hf.schema.upstream import PREFIXES
from conversion.files.atomic import AtomicFile
from conversion.synthetic.images import BodyStore, deflated_jpeg, whole_jpeg
from conversion.synthetic.options import Layout, Names
from conversion.synthetic.population import Population
from conversion.synthetic.zip_writer import ZipWriter

TREE: Final = "bioscan5m/"

_PREFIXES: Final[dict[Names, str]] = dict(zip(("hub", "seed"), PREFIXES, strict=True))
_LARGEST_PART: Final = 38_000_000_000  # bytes; upstream keeps its parts under 40 GB
_FEWEST_PARTS: Final = 2


def archives(
    package: Package, people: Population, layout: Layout, names: Names, mean_size: float
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Divide the images of a package among archives.

    Args:
        package: The package.
        people: The specimens.
        layout: How to divide them; not ``folder``.
        names: How to name the archives.
        mean_size: Of an image, in bytes.

    Yields:
        The name of each archive, and the numbers of its specimens in order.
    """
    order = people.order()
    # The Hub calls a package as its folder is called, the other naming by its shortest name.
    stem = _PREFIXES[names] + (package.name if names == "hub" else package.stems[-1])
    if layout == "groups":
        partition = np.array([PARTITIONS.index(split.partition) for split in SPLITS])
        group = partition[people.splits[order]]
        for number, name in enumerate(PARTITIONS):
            yield f"{stem}_{name}.zip", order[group == number]
    elif layout == "parts":
        parts = max(_FEWEST_PARTS, int(len(order) * mean_size / _LARGEST_PART) + 1)
        for number, members in enumerate(np.array_split(order, parts), start=1):
            yield f"{stem}.{number:02d}.zip", members
    else:
        yield f"{stem}.zip", order


def write_archive(
    path: Path, package: str, people: Population, members: NDArray[np.int64], store: BodyStore
) -> Iterator[int]:
    """Write one zip of images; yields 1 after every image.

    Args:
        path: The zip.
        package: The name of the package.
        people: The specimens.
        members: Numbers of the specimens whose images it holds, in order.
        store: The images.
    """
    entered: set[str] = set()
    with AtomicFile(path) as file, ZipWriter(file, path.parent) as archive:
        for specimen in members.tolist():
            folder = f"{TREE}images/{package}/{people.folder(specimen)}"
            if folder not in entered:
                depths = [at + 1 for at, letter in enumerate(folder) if letter == "/"]
                for parent in (folder[:depth] for depth in depths):
                    if parent not in entered:
                        archive.add(parent)
                        entered.add(parent)
            processid = people.processids[specimen].decode("ascii")
            body = store.read(people.photographs[specimen], package)
            deflated, crc, size = deflated_jpeg(processid, body)
            archive.add(f"{folder}{processid}.jpg", deflated, crc=crc, size=size)
            yield 1


def write_tree(root: Path, package: str, people: Population, store: BodyStore) -> Iterator[int]:
    """Write the images of a package as plain files; yields 1 after every image.

    Args:
        root: The folder of the release.
        package: The name of the package.
        people: The specimens.
        store: The images.
    """
    entered: set[str] = set()
    for specimen in people.order().tolist():
        folder = people.folder(specimen)
        place = root / TREE / "images" / package / folder
        if folder not in entered:
            place.mkdir(parents=True, exist_ok=True)
            entered.add(folder)
        processid = people.processids[specimen].decode("ascii")
        body = store.read(people.photographs[specimen], package)
        (place / f"{processid}.jpg").write_bytes(whole_jpeg(processid, body))
        yield 1
