"""Read one image of a release, be it a member of an archive or a file of an unpacked tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bioscan5m_hf.errors import ArchiveError
from bioscan5m_hf.release.layout import member_name
from bioscan5m_hf.release.zip_member import (
    Flaw,
    FlawedImage,
    Member,
    check_jpeg,
    check_size,
    read_member,
)
from bioscan5m_hf.storage.local import Source

MEMBER_COLUMNS: Final = ("offset", "compressed", "size", "crc", "method")
"""The columns of an image from which a ``Member`` is made."""


def name_of(place: Mapping[str, Any]) -> str:
    """The name of an image in its archive or folder."""
    return member_name(place["folder"], place["processid"], place["ending"])


def read_image(place: Mapping[str, Any], source: Source | Path) -> bytes | bytearray:
    """Read an image, and check that it is undamaged.

    Raises:
        FlawedImage: The image is damaged.
        ArchiveError: The archive or the file cannot be read.
    """
    if isinstance(source, Path):
        image: bytes | bytearray = _read_file(source / name_of(place), place["size"])
    else:
        image = read_member(source, Member(*(place[name] for name in MEMBER_COLUMNS)))
    check_jpeg(image)
    return image


def _read_file(path: Path, size: int) -> bytes:
    check_size(size)
    try:
        with path.open("rb") as file:
            # One byte more shows that a file grew since it was listed, without reading all of it.
            data = file.read(size + 1)
    except OSError as error:
        raise ArchiveError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if len(data) != size:
        raise FlawedImage(Flaw.UNREADABLE, f"its length is no longer the {size:,} bytes it was")
    return data
