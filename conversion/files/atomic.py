"""Write files atomically: a file gets its final name only when it is complete and on the disk."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from xxhash import xxh3_128

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.storage.disk import output_error
from bioscan5m_hf.storage.inside import open_regular, real_folders
from bioscan5m_hf.storage.path import Location

# Small enough that data is still in the processor's cache when it is written after digesting. And
# for writes of several megabytes, Linux allocates memory four times more slowly (measured).
_WRITE_BYTES: Final = 512 << 10
_SEND_BYTES: Final = 8 << 20
_SYNCED_TOGETHER: Final = 8

PARTIAL_SUFFIX = ".partial"
# Matches only names that ``partial_path`` makes, so that files of other programs are left alone.
_PARTIAL_NAME = re.compile(rf"\..+\.[0-9a-f]{{16}}{re.escape(PARTIAL_SUFFIX)}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """The length and the digest of a file.

    Attributes:
        bytes: Its length.
        xxh3: Its digest (XXH3, 128 bits), in hex. It detects changes of a file, and takes a seventh
            of the time of the Hub's SHA-256.
    """

    bytes: int
    xxh3: str


def partial_path(path: Path) -> Path:
    """Return a new temporary path for a file that is not complete yet.

    The name is hidden, so that the glob patterns of readers do not match it.
    """
    # The name is random, because a worker may outlive its run. It must not write to the same file
    # as the worker that makes the same shard again.
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")


def remove_partials(folder: Path) -> None:
    """Remove partial files of interrupted runs in a folder and in the real folders below it."""
    for top in (folder, *real_folders(folder)):
        for leftover in top.glob(f".*{PARTIAL_SUFFIX}"):
            if _PARTIAL_NAME.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)


class Whole(ABC):
    """Output that is written in a ``with`` block and appears atomically at its end.

    At the end of the block the output is committed, or discarded if the block raises. If the block
    has already committed or discarded it, nothing more is done.
    """

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was committed or discarded."""

    @abstractmethod
    def commit(self) -> object:
        """Give the output its final name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if self.closed:
            return
        if kind is None:
            self.commit()
        else:
            self.discard()


@dataclass(frozen=True, slots=True)
class Unseen:
    """A file that is written completely, but does not have its final name yet."""

    partial: Path
    path: Path
    written: Written

    def settle(self) -> Written:
        """Wait until its bytes have reached the disk, then rename it.

        Raises:
            OutputError: One of these steps failed.
        """
        self.sync()
        return self.appear()

    def sync(self) -> None:
        """Wait until its bytes have reached the disk.

        Raises:
            OutputError: They could not be written.
        """
        with self._discarded_on_error():
            _sync(self.partial, os.O_RDONLY)

    def appear(self) -> Written:
        """Rename it and sync its folder; call this after ``sync``.

        Raises:
            OutputError: It cannot be renamed.
        """
        self.rename()
        with self._discarded_on_error():
            sync_folder(self.path.parent)
        return self.written

    def rename(self) -> None:
        """Give it its final name; the caller must sync the folder.

        Raises:
            OutputError: It cannot be renamed.
        """
        with self._discarded_on_error():
            self.partial.replace(self.path)

    def discard(self) -> None:
        """Remove the file."""
        self.partial.unlink(missing_ok=True)

    @contextmanager
    def _discarded_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.discard()
            raise output_error(error, self.path) from error
        except BaseException:
            # After an interruption too, no partial file must stay.
            self.discard()
            raise


class AtomicFile(Whole):
    """A file that is written under a temporary name in the same folder, and digested meanwhile.

    Write-back to the disk starts early, so that the final sync takes little time.

    At the end of a ``with`` block its bytes are synced to the disk, and it is renamed to its final
    name. If the block raises, it is removed.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._closed = False
        self._partial = partial_path(path)
        self._digest = xxh3_128()
        self._length = 0
        self._sent = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise output_error(error, path) from error
        except BaseException:
            # After an interruption here, no ``with`` block would remove the file.
            self._partial.unlink(missing_ok=True)
            raise

    @property
    def closed(self) -> bool:
        """Whether it was committed or discarded; libraries check this before they write."""
        return self._closed

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes, and return their number."""
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _WRITE_BYTES):
            piece = view[start : start + _WRITE_BYTES]
            self._digest.update(piece)
            self._length += len(piece)
            try:
                while piece:
                    piece = piece[self._file.write(piece) :]
                self._send()
            except OSError as error:
                raise output_error(error, self.path) from error
        return len(view)

    def _send(self) -> None:
        """Start write-back now, so that the final sync does not have to wait for all bytes."""
        length = self._length - self._sent
        if length >= _SEND_BYTES and sys.platform == "linux":
            # For pages that are not on the disk yet, this advice starts write-back and keeps them.
            os.posix_fadvise(self._file.fileno(), self._sent, length, os.POSIX_FADV_DONTNEED)
            self._sent = self._length

    def tell(self) -> int:
        """How many bytes were written."""
        return self._length

    def flush(self) -> None:
        """Do nothing, because writes are not buffered."""

    def close(self) -> None:
        """Do nothing, because a library may close a file that is not complete."""

    def commit(self) -> Written:
        """Sync the file, and give it its final name.

        Raises:
            OutputError: The bytes did not reach the disk, or the file cannot be renamed.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.discard()
            raise output_error(error, self.path) from error
        return self.hand_over().appear()

    def hand_over(self) -> Unseen:
        """Close the file, and return an object that can sync and rename it later.

        Raises:
            OutputError: The file cannot be closed.
        """
        try:
            self._file.close()
        except OSError as error:
            self.discard()
            raise output_error(error, self.path) from error
        self._closed = True
        written = Written(self._length, self._digest.hexdigest())
        return Unseen(self._partial, self.path, written)

    def discard(self) -> None:
        """Remove what was written."""
        self._closed = True
        self._file.close()
        self._partial.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> Written:
    """Write a small file atomically.

    Raises:
        OutputError: It cannot be written.
    """
    with AtomicFile(path) as file:
        file.write(data)
        return file.commit()


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write several small files, each of them atomically.

    They are synced to the disk in parallel, which takes hardly longer than syncing one file.

    Args:
        files: The content of each file.

    Raises:
        OutputError: A file cannot be written; files that were already renamed stay.
    """
    unseen: list[Unseen] = []
    try:
        for path, data in files.items():
            with AtomicFile(path) as file:
                file.write(data)
                unseen.append(file.hand_over())
        with ThreadPoolExecutor(_SYNCED_TOGETHER) as pool:
            for _ in pool.map(Unseen.sync, unseen):
                pass
        for each in unseen:
            each.rename()
        for folder in {path.parent for path in files}:
            sync_folder(folder)
    finally:
        for each in unseen:
            each.discard()


def written_as(data: bytes) -> Written:
    """The length and the digest of a file that holds these bytes."""
    return Written(len(data), xxh3_128(data).hexdigest())


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that renames in it survive a power failure.

    Raises:
        OutputError: The system reports an error.
    """
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise output_error(error, folder) from error


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lies_in(inner: Location, outer: Location) -> bool:
    if isinstance(inner, Path) and isinstance(outer, Path):
        return inner.resolve().is_relative_to(outer.resolve())
    return f"{inner}/".startswith(f"{outer}/")


def require_apart(release: Location, output: Location) -> None:
    """Check that output and release do not contain each other, as output could be read as input.

    Raises:
        OutputError: One of them lies in the other.
    """
    if _lies_in(release, output) or _lies_in(output, release):
        raise OutputError(
            "the output folder and the release must not lie within each other",
            where=str(output),
            fix="choose an --output beside the release",
        )


def digest_of(path: Path) -> Written:
    """Read a file for its length and digest.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, xxh3_128)
        return Written(file.tell(), digest.hexdigest())
