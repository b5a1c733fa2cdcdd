"""Recognise unchanged files by their stamps, without reading them, as ``git`` does.

See ``bioscan5m_hf.storage.identity`` for what a stamp proves. Three kinds of change are detected
only by reading: corruption on the disk; a change in the clock tick (some milliseconds) in which the
stamp was taken; and a change while the clock was set back. ``bioscan5m verify`` trusts no stamp.
"""

from __future__ import annotations

from pathlib import Path

from bioscan5m_hf.storage.identity import stamp_of
from conversion.files.atomic import Written, digest_of


class Stamps:
    """Stamps of the files of a folder, each with the digest that the file had at that time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[str, str]] = {}

    def note(self, name: str, xxh3: str) -> None:
        """Record the stamp of a file whose digest is known, for example after writing it."""
        try:
            self._known[name] = xxh3, stamp_of((self._folder / name).stat())
        except OSError:
            self._known.pop(name, None)

    def holds(self, name: str, written: Written) -> bool:
        """Whether a file has this length and digest; it is read only if its stamp has changed."""
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
        """Add stamps that were stored by ``to_json``.

        Raises:
            TypeError, ValueError: They are not stamps.
        """
        for name, (xxh3, stamp) in values.items():
            self._known.setdefault(name, (xxh3, stamp))
