"""Recognise unchanged files by size, times and inode, without reading them, as ``git`` does.

The kernel sets the time of the last change of a file whenever its bytes, its name or its times are
changed, and no program can set it back. So a file with the same stamp holds the same bytes, with
three exceptions that only reading it tells: bits that rot on the disk; a change in the very tick of
the clock, some milliseconds, in which the stamp was taken; and a change under a clock that was put
back. ``bioscan5m verify`` trusts no stamp.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from conversion.files.atomic import Written, digest_of


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system tells of a file.

    Attributes:
        bytes: Its length.
        modified: When its bytes were changed, in nanoseconds; programs may set this.
        changed: When anything of it was changed, in nanoseconds; programs may not set this.
        inode: The number of the file on its disk.
    """

    bytes: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Take the stamp of a file.

        Raises:
            OSError: There is no such file.
        """
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class Stamps:
    """Stamps of the files of a folder, each with the digest that its bytes had then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, Stamp]] = {}

    def note(self, name: str, xxh3: str) -> None:
        """Take the stamp of a file whose digest is known, such as of one just written."""
        try:
            self._known[name] = xxh3, Stamp.of(self._folder / name)
        except OSError:
            self._known.pop(name, None)

    def holds(self, name: str, written: Written) -> bool:
        """Whether a file has such bytes; it is read only where its stamp is another."""
        path = self._folder / name
        try:
            stamp = Stamp.of(path)
            if stamp.bytes != written.bytes:
                return False
            if self._known.get(name) == (written.xxh3, stamp):
                return True
            if digest_of(path) != written:
                return False
        except OSError:
            return False
        self._known[name] = written.xxh3, stamp
        return True

    def to_json(self) -> dict[str, list[str | int]]:
        """The stamps as plain values."""
        return {
            name: [xxh3, *astuple(stamp)] for name, (xxh3, stamp) in sorted(self._known.items())
        }

    def add(self, values: dict[str, list[str | int]]) -> None:
        """Take over stamps that were kept.

        Raises:
            TypeError, ValueError: They are not stamps.
        """
        for name, (xxh3, *numbers) in values.items():
            self._known.setdefault(name, (str(xxh3), Stamp(*map(int, numbers))))
