"""Recognise unchanged files by their stamps, without reading them, as ``git`` does.

What a stamp proves, ``bioscan5m_hf.storage.identity`` tells. Three changes only reading tells: bits
that rot on the disk; a change in the very tick of the clock, some milliseconds, in which the stamp
was taken; and a change under a clock that was put back. ``bioscan5m verify`` trusts no stamp.
"""

from __future__ import annotations

from pathlib import Path

from bioscan5m_hf.storage.identity import stamp_of
from conversion.files.atomic import Written, digest_of


class Stamps:
    """Stamps of the files of a folder, each with the digest that its bytes had then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, str]] = {}

    def note(self, name: str, xxh3: str) -> None:
        """Take the stamp of a file whose digest is known, such as of one just written."""
        try:
            self._known[name] = xxh3, stamp_of((self._folder / name).stat())
        except OSError:
            self._known.pop(name, None)

    def holds(self, name: str, written: Written) -> bool:
        """Whether a file has such bytes; it is read only where its stamp is another."""
        path = self._folder / name
        try:
            found = path.stat()
            if found.st_size != written.bytes:
                return False
            known = written.xxh3, stamp_of(found)
            if self._known.get(name) != known and digest_of(path) != written:
                return False
        except OSError:
            return False
        self._known[name] = known
        return True

    def to_json(self) -> dict[str, list[str]]:
        """The stamps as plain values."""
        return {name: list(known) for name, known in sorted(self._known.items())}

    def add(self, values: dict[str, list[str]]) -> None:
        """Take over stamps that were kept, as ``to_json`` gave them.

        Raises:
            TypeError, ValueError: They are not stamps.
        """
        for name, (xxh3, stamp) in values.items():
            self._known.setdefault(name, (xxh3, stamp))
