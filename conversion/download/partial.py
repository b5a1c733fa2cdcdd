"""Keep a partially downloaded file, so that the next attempt can continue it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from bioscan5m_hf.errors import FolderInUse
from bioscan5m_hf.files.lock import open_locked, open_made
from bioscan5m_hf.storage.disk import output_error
from bioscan5m_hf.storage.inside import read_small, to_write
from conversion.files.atomic import sync_folder, write_whole

_READ: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected length and digest of a file.

    Attributes:
        bytes: The length.
        algorithm: ``md5`` or ``sha256``; ``None`` if no digest was published.
        digest: The digest in hex.
    """

    bytes: int
    algorithm: str | None = None
    digest: str | None = None

    @property
    def description(self) -> str:
        """How the file is verified, for the user."""
        return _NAMES.get(self.algorithm, "length only")

    def difference(self, length: int, digest: Callable[[], str]) -> str | None:
        """Describe the difference in a phrase; ``None`` if there is none."""
        if length != self.bytes:
            return f"has {length:,} bytes, and {self.bytes:,} were expected"
        if self.algorithm and (found := digest()) != self.digest:
            return f"its {self.description} is {found}, and {self.digest} was expected"
        return None


_NOTE_BYTES: Final = 1 << 20
_NAMES: Final[dict[str | None, str]] = {"md5": "MD5", "sha256": "SHA-256"}


class Partial:
    """A partially downloaded file, with a note about its source.

    Args:
        folder: The folder for the file until it is verified.
        final: The final path of the file.
        url: The URL of the source.
        expected: The expected length and digest.

    Raises:
        OutputError: It cannot be written.
        FolderInUse: Another process is fetching it.
    """

    def __init__(self, folder: Path, final: Path, url: str, expected: Expected) -> None:
        self.path = folder / f"{final.name}.part"
        self.length = 0
        self.validator = ""
        self._note = folder / f"{final.name}.json"
        self._url = url
        self._expected = expected
        self._digest = hashlib.new(expected.algorithm) if expected.algorithm else None
        self._final = final
        try:
            to_write(folder.parent, f"{folder.name}/{self.path.name}")
            # Without locks, two processes may write the same file; its digest or length detects it.
            descriptor, _ = open_locked(self.path, lambda: open_made(self.path))
        except BlockingIOError as error:
            raise FolderInUse(
                "another process is fetching this file",
                where=str(self.path),
                fix="wait until it has ended, or choose another --output",
            ) from error
        except OSError as error:
            raise output_error(error, self.path) from error
        self._file = os.fdopen(descriptor, "r+b", buffering=0)

    def take_up(self, on_bytes: Callable[[int], None], check: Callable[[], None]) -> None:
        """Continue the existing part if it belongs to the same file; otherwise start again."""
        size = os.fstat(self._file.fileno()).st_size
        if not size or size > self._expected.bytes or not self._is_same():
            self.clear()
            return
        while chunk := self._file.read(_READ):
            check()
            if self._digest:
                self._digest.update(chunk)
            self.length += len(chunk)
            on_bytes(len(chunk))

    def _is_same(self) -> bool:
        try:
            note = json.loads(read_small(self._note, _NOTE_BYTES))
            if note["expected"] != asdict(self._expected):
                return False
            self.validator = str(note["validator"])
            # With a digest the source does not matter, because the whole file is verified.
            return bool(self._expected.digest or (note["url"] == self._url and self.validator))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def note_validator(self, validator: str) -> None:
        """Record the server's identifier of this version of the file.

        Args:
            validator: A strong entity tag, or a date; empty if the server gives neither.
        """
        if validator == self.validator and self._note.exists():
            return
        self.validator = validator
        note = {"url": self._url, "validator": validator, "expected": asdict(self._expected)}
        write_whole(self._note, json.dumps(note, indent=1).encode())

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OutputError: They cannot be written; what was written before stays.
        """
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view)
                view = view[written:]
        except OSError as error:
            raise output_error(error, self._final) from error
        if self._digest:
            self._digest.update(data)
        self.length += len(data)

    def clear(self) -> None:
        """Remove all bytes, to start again."""
        self._file.seek(0)
        self._file.truncate()
        self.length = 0
        if self._digest:
            self._digest = hashlib.new(self._digest.name)

    def difference(self) -> str | None:
        """Describe the difference from the expected file; ``None`` if there is none."""
        return self._expected.difference(
            self.length, lambda: self._digest.hexdigest() if self._digest else ""
        )

    def commit(self) -> Path:
        """Sync the file and give it its final name, while it is still locked.

        Raises:
            OutputError: One of these steps failed.
        """
        try:
            os.fsync(self._file.fileno())
            self.path.replace(self._final)
            sync_folder(self._final.parent)
            self._note.unlink(missing_ok=True)
        except OSError as error:
            raise output_error(error, self._final) from error
        return self._final

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def prove(
    path: Path, expected: Expected, on_bytes: Callable[[int], None] = lambda _: None
) -> str | None:
    """Compare an existing file with its expected length and digest.

    Returns:
        A phrase about the difference; ``None`` if there is none.

    Raises:
        OSError: It cannot be read.
    """

    def digest() -> str:
        hasher = hashlib.new(expected.algorithm or "")
        with path.open("rb", buffering=0) as file:
            while block := file.read(_READ):
                hasher.update(block)
                on_bytes(len(block))
        return hasher.hexdigest()

    return expected.difference(path.stat().st_size, digest)
