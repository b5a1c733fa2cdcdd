"""The bytes of a metadata file, loose or in the metadata zip, and what can go wrong with them."""

from __future__ import annotations

import codecs
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release import MetadataFile
from bioscan5m_hf.remote import Location, ReadAhead, open_location
from bioscan5m_hf.sources import SourceStream

_PIPE_BYTES: Final = 1 << 16
# What a damaged zip or disk makes the standard library raise; an encrypted member a RuntimeError,
# an unknown compression a NotImplementedError.
_DAMAGE: Final = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class MetadataStream(io.RawIOBase):
    """The bytes of a metadata file.

    Attributes:
        quotes: How many quotation marks were among the bytes so far; counted in csv only.
    """

    def __init__(self, stream: IO[bytes], file: MetadataFile) -> None:
        self._stream = stream
        self._file = file
        self.quotes = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def readable(self) -> bool:
        """Always true."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes; none at the end.

        Raises:
            MetadataError: The disk or the zip is damaged, or the bytes are not UTF-8 text.
        """
        try:
            data = self._stream.read(size)
        except _DAMAGE as error:
            raise _unreadable(self._file, error) from error
        if self._file.form == "csv":
            self.quotes += data.count(b'"')
        # The parser of csv complains of other text on standard error, behind our back.
        if not data.isascii() or not data or self._decoder.getstate()[0]:
            try:
                self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise MetadataError(
                    "is not UTF-8 text", where=self._file.label, fix="download it again"
                ) from error
        return data


@contextmanager
def open_metadata(file: MetadataFile) -> Iterator[MetadataStream]:
    """Open a metadata file; a member of the metadata zip is not unpacked to disk.

    Args:
        file: The file, or the member of the zip.

    Raises:
        MetadataError: It cannot be opened.
    """
    with ExitStack() as held:
        try:
            stream: IO[bytes] = held.enter_context(_bytes_of(file.path))
            if file.member is not None:
                archive = held.enter_context(zipfile.ZipFile(stream))
                stream = held.enter_context(archive.open(file.member))
        except _DAMAGE as error:
            raise _unreadable(file, error) from error
        yield MetadataStream(stream, file)


@contextmanager
def _bytes_of(path: Location) -> Iterator[IO[bytes]]:
    if isinstance(path, Path):
        with path.open("rb") as stream:
            yield stream
        return
    with ReadAhead(open_location(path)) as source:
        yield io.BufferedReader(SourceStream(source), _PIPE_BYTES)


def _unreadable(file: MetadataFile, error: Exception) -> MetadataError:
    return MetadataError(
        f"cannot be read ({first_line(error)})", where=file.label, fix="download it again"
    )


def first_line(error: Exception) -> str:
    """The first line of the message of a library, not too long for a line of ours."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 160 else f"{line[:160]}…"
