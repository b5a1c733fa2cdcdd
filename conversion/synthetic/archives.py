"""Write images into upstream's archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, package_named
from bioscan5m_hf.schema.upstream import PREFIXES
from conversion.synthetic.options import NAMES, SampleOptions
from conversion.synthetic.photograph import commented

TREE: Final = "bioscan5m"
# 1 June 2024, 12:00. The time is fixed, so that equal input gives equal bytes.
_DATE: Final = (2024, 6, 1, 12, 0, 0)

_PARTS: Final = 2
_LEVEL: Final = 1  # the fastest, because JPEGs hardly shrink

Member = tuple[str, bytes]
"""The path of an image, with slashes, and its bytes; or the path of a folder and no bytes."""


def archives(
    package: str, people: NDArray[Any], options: SampleOptions
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Divide the images of a package among archives.

    Yields:
        The name of each archive, and the numbers of its specimens in upstream's order: by split,
        then by folder, then by processid.
    """
    order = np.lexsort((people["processid"], people["chunk"], people["split"]))
    # The Hub names an archive after the folder of the package; "seed" uses its shortest name.
    stems = (package, package_named(package).stems[-1])
    stem = PREFIXES[NAMES.index(options.names)] + stems[NAMES.index(options.names)]
    if options.layout == "groups":
        for name in PARTITIONS:
            places = [at for at, split in enumerate(SPLITS) if split.partition == name]
            yield f"{stem}_{name}.zip", order[np.isin(people["split"][order], places)]
    elif options.layout == "parts":
        for number, members in enumerate(np.array_split(order, _PARTS), start=1):
            yield f"{stem}.{number:02d}.zip", members
    else:
        yield f"{stem}.zip", order


def members(
    package: str, people: NDArray[Any], order: NDArray[np.int64], jpeg: Callable[[int], bytes]
) -> Iterator[Member]:
    """Yield the images of the specimens in ``order``, each new folder before its images."""
    entered = set()
    for number in order:
        processid, split, chunk, _, shown = people.item(number)
        parts = (TREE, "images", package, SPLITS[split].name, chunk.decode())
        for folder in accumulate(f"{part}/" for part in parts if part):
            if folder not in entered:
                entered.add(folder)
                yield folder, b""
        name = processid.decode()
        yield f"{folder}{name}.jpg", commented(jpeg(shown), name)


def write_zip(path: Path, found: Iterable[Member]) -> None:
    """Write members to a zip."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in found:
            archive.writestr(zip_entry(name), data, compresslevel=_LEVEL)


def zip_entry(name: str) -> zipfile.ZipInfo:
    """Return the zip entry of a file, or of a folder if the name ends with a slash."""
    entry = zipfile.ZipInfo(name, _DATE)
    # The Unix mode of a file or folder; for a folder also the DOS attribute 0x10.
    entry.external_attr = 0o040755 << 16 | 0x10 if entry.is_dir() else 0o100644 << 16
    entry.compress_type = zipfile.ZIP_STORED if entry.is_dir() else zipfile.ZIP_DEFLATED
    return entry
