"""Plan which files of a mirror must be fetched for the requested packages and splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bioscan5m_hf.errors import ReleaseNotFound, UsageError
from bioscan5m_hf.schema.columns import SPLITS, Split
from bioscan5m_hf.schema.upstream import (
    BBOX_NAME,
    FILES,
    METADATA_ZIP,
    MIRRORS,
    Mirror,
    PublishedFile,
)


def plan_download(
    mirror: Mirror, packages: Sequence[str], splits: Sequence[Split] = ()
) -> tuple[PublishedFile, ...]:
    """Choose the fewest files that hold the metadata and the requested packages and splits.

    Returns:
        The metadata, the bounding boxes if the mirror has them and a package can use them, then the
        archives of each package.

    Raises:
        ReleaseNotFound: The mirror lacks a package; the message names a mirror that has it.
        UsageError: The files must be fetched by hand; the message names the files and the address.
    """
    partitions = list(dict.fromkeys(split.partition for split in splits or SPLITS))
    wanted = [FILES[METADATA_ZIP]]
    if BBOX_NAME in mirror.files and any(not name.endswith("_256") for name in packages):
        wanted.append(FILES[BBOX_NAME])
    for package in packages:
        archives = _archives(mirror, package, partitions)
        if not archives:
            raise ReleaseNotFound(
                f"there are no archives of {package} for {', '.join(partitions)}",
                where=f"{mirror.name} ({mirror.address})",
                fix=_elsewhere(package, partitions),
            )
        wanted += archives
    if mirror.transport == "by hand":
        raise UsageError(
            "a program cannot download reliably from Google Drive",
            where=mirror.name,
            fix=f"open {mirror.address} in a browser and put these into one folder: "
            f"{', '.join(file.name for file in wanted)}",
        )
    return tuple(wanted)


def _archives(mirror: Mirror, package: str, partitions: Iterable[str]) -> list[PublishedFile]:
    """The archives of the partitions if the mirror has all of them, else those of all splits."""
    held = [FILES[name] for name in mirror.files if FILES[name].package == package]
    groups = [[f for f in held if f.partition == partition] for partition in partitions]
    if all(groups):
        return [file for group in groups for file in group]
    return [file for file in held if file.partition is None]


def _elsewhere(package: str, partitions: Sequence[str]) -> str:
    for other in MIRRORS:
        if archives := _archives(other, package, partitions):
            if other.transport == "by hand":
                names = ", ".join(file.name for file in archives)
                return f"fetch these by hand from {other.address}: {names}"
            return f"use --from {other.name}"
    return "no mirror has them"
