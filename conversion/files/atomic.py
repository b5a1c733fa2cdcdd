"""Write files that appear under their final name only when they are whole."""

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

# What was digested is still in the processor's cache when it is written, and Linux finds memory for
# some megabytes at once much more slowly (measured: four times) than for a few pieces.
_WRITE_BYTES: Final = 512 << 10
_SEND_BYTES: Final = 8 << 20
_SYNCED_TOGETHER: Final = 8

PARTIAL_SUFFIX = ".partial"
# As ``partial_path`` makes them: what somebody else has called so is left alone.
_PARTIAL_NAME = re.compile(rf"\..+\.[0-9a-f]{{16}}{re.escape(PARTIAL_SUFFIX)}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Written:
    """The length and the digest of a file.

    Attributes:
        bytes: Its length.
        xxh3: Its digest (XXH3, 128 bits), in hex: it tells whether a file was changed, in a seventh
            of the time that the Hub's SHA-256 takes.
    """

    bytes: int
    xxh3: str


def partial_path(path: Path) -> Path:
    """A name that a file goes by until it is whole, another one at each call.

    It is hidden, so that no reader's glob finds it.
    """
    # A worker that outlives its run, on this machine or on another, never shares a file with the
    # worker that does the same shard again.
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{PARTIAL_SUFFIX}")


def remove_partials(folder: Path) -> None:
    """Remove what interrupted runs left in a folder and in the real folders directly below it."""
    for top in (folder, *real_folders(folder)):
        for leftover in top.glob(f".*{PARTIAL_SUFFIX}"):
            if _PARTIAL_NAME.fullmatch(leftover.name):
                leftover.unlink(missing_ok=True)


class Whole(ABC):
    """What is written in a ``with`` block and appears whole at its end, or not at all.

    At the end of the block it is committed, and discarded if the block raises. Where the block has
    settled that already, nothing more is done.
    """

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was committed or discarded."""

    @abstractmethod
    def commit(self) -> object:
        """Let it appear under its final name."""

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
    """A file that is written to its end, and has not appeared yet."""

    partial: Path
    path: Path
    written: Written

    def settle(self) -> Written:
        """Wait until its bytes have reached the disk, then let it appear.

        Raises:
            OutputError: They did not.
        """
        self.sync()
        return self.appear()

    def sync(self) -> None:
        """Wait until its bytes have reached the disk.

        Raises:
            OutputError: They did not.
        """
        with self._discarded_on_error():
            _sync(self.partial, os.O_RDONLY)

    def appear(self) -> Written:
        """Let it appear under its final name, once its bytes have reached the disk.

        Raises:
            OutputError: It cannot.
        """
        self.rename()
        with self._discarded_on_error():
            sync_folder(self.path.parent)
        return self.written

    def rename(self) -> None:
        """Let it appear; whoever calls this sees that the folder reaches the disk.

        Raises:
            OutputError: It cannot.
        """
        with self._discarded_on_error():
            self.partial.replace(self.path)

    def discard(self) -> None:
        """Remove it."""
        self.partial.unlink(missing_ok=True)

    @contextmanager
    def _discarded_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.discard()
            raise output_error(error, self.path) from error
        except BaseException:
            # An interruption.
            self.discard()
            raise


class AtomicFile(Whole):
    """A file being written beside its final name, with its digest taken on the way.

    Its bytes are on their way to the disk meanwhile, so that little is left to wait for at the end.

    As a context manager it is renamed to its final name at the end of the block, after its bytes
    have reached the disk; it is removed if the block raises.

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
            # An interruption: no block will discard it.
            self._partial.unlink(missing_ok=True)
            raise

    @property
    def closed(self) -> bool:
        """Whether it was committed or discarded; libraries ask for it before they write."""
        return self._closed

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; returns how many there were."""
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
        """Let the system begin to write what is there, or it would all be waited for at the end."""
        length = self._length - self._sent
        if length >= _SEND_BYTES and sys.platform == "linux":
            # Advice on pages that are not on the disk yet begins to write them, and keeps them.
            os.posix_fadvise(self._file.fileno(), self._sent, length, os.POSIX_FADV_DONTNEED)
            self._sent = self._length

    def tell(self) -> int:
        """How many bytes were written."""
        return self._length

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Left to the context: what a library closes is not yet known to be whole."""

    def commit(self) -> Written:
        """Let the file appear under its final name.

        Raises:
            OutputError: The bytes did not reach the disk.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.discard()
            raise output_error(error, self.path) from error
        return self.hand_over().appear()

    def hand_over(self) -> Unseen:
        """Leave it to somebody else to wait for the disk and to let the file appear.

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
    """Write a small file at once, so that it is there whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    with AtomicFile(path) as file:
        file.write(data)
        return file.commit()


def write_together(files: Mapping[Path, bytes]) -> None:
    """Write small files, each of which is there whole or not at all.

    Their bytes reach the disk at the same time, which takes hardly longer than with one of them.

    Args:
        files: What each file is to hold.

    Raises:
        OutputError: One of them cannot be written; those that have appeared stay.
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
    """Make renames in a folder outlast a loss of power."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


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
    """See that what is written cannot be taken for a part of what is read.

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
        OSError: It cannot be read, or is no regular file.
    """
    with open_regular(path) as file:
        digest = hashlib.file_digest(file, xxh3_128)
        return Written(file.tell(), digest.hexdigest())
