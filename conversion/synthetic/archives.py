"""Write images into upstream's archives, or into its tree of folders."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, package_named
from bioscan5m_hf.schema.upstream import PREFIXES
from conversion.synthetic.images import commented
from conversion.synthetic.options import NAMES, Layout, Names

TREE: Final = "bioscan5m/"
# 1 June 2024, 12:00: equal input gives equal bytes only with a time that stands still.
_DATE: Final = (2024, 6, 1, 12, 0, 0)

_PARTS: Final = 2
_AT_ONCE: Final = 4_096  # specimens
_LEVEL: Final = 1  # there is next to nothing to gain in a JPEG

Member = tuple[str, bytes | None]
"""The path of an image, with slashes, and its bytes; or of a folder without any."""


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
    package: str, people: NDArray[Any], order: NDArray[np.int64], jpeg: Callable[[int], bytes]
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
                    yield parent, None
        name = processid.decode()
        yield f"{folder}{name}.jpg", commented(jpeg(shown), name)


def write_tree(root: Path, found: Iterable[Member]) -> None:
    """Write members as plain files."""
    for name, data in found:
        if data is None:
            (root / name).mkdir(exist_ok=True)
        else:
            (root / name).write_bytes(data)


def write_zip(path: Path, found: Iterable[Member]) -> None:
    """Write members as a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in found:
            archive.writestr(zip_entry(name), data or b"", compresslevel=_LEVEL)


def zip_entry(name: str) -> zipfile.ZipInfo:
    """The entry of a member of a zip, for a file or, with a slash at its end, for a folder."""
    entry = zipfile.ZipInfo(name, _DATE)
    # What Unix calls a file or a folder; the low bit is what DOS calls a folder.
    entry.external_attr = 0o040755 << 16 | 0x10 if entry.is_dir() else 0o100644 << 16
    entry.compress_type = zipfile.ZIP_STORED if entry.is_dir() else zipfile.ZIP_DEFLATED
    return entry
