"""Stream the bytes of a metadata file, loose or in the metadata zip, and report damage."""

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

import numpy as np
import pyarrow as pa

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.storage.inside import require_regular
from bioscan5m_hf.storage.local import LocalFile, SourceStream
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location
from bioscan5m_hf.storage.prefetch import ReadAhead

_PIPE_BYTES: Final = 1 << 16
# Longer marks come first, because UTF-32's begins with UTF-16's.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_CONTEXT: Final = 20
_TYPOGRAPHY: Final = "\u2018\u2019\u201c\u201d\u2013\u2014"
_QUOTE: Final = ord('"')
_PART: Final = 1 << 17
# The ranges of UTF-8 bytes (RFC 3629, section 3).
_LONGEST_LETTER: Final = 4
_CONTINUED: Final = 0x80
_FIRST_OF_SEVERAL: Final = 0xC0
# The standard library's errors for a damaged zip or disk; RuntimeError is for an encrypted member,
# NotImplementedError for an unknown compression.
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
        quotes: The number of quotation marks in the bytes so far; counted in csv only.
    """

    def __init__(self, stream: IO[bytes], file: MetadataFile) -> None:
        self._stream = stream
        self._file = file
        self.quotes = 0
        self._cut_off = b""
        self._begun = False
        self._held = b""

    def readable(self) -> bool:
        """Always true."""
        return True

    def first_line(self, limit: int) -> bytes | None:
        """The first line that is not empty, without consuming it.

        Returns:
            The line; ``None`` if it is longer than ``limit`` bytes.

        Raises:
            MetadataError: As in ``read``.
        """
        while len(self._held) < limit and (data := self._read(limit)):
            self._held += data
        lines = self._held[:limit].lstrip(b"\r\n").splitlines()
        whole = len(lines) > 1 or len(self._held) < limit
        return next(iter(lines), b"") if whole else None

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes; none at the end.

        Raises:
            MetadataError: The disk or the zip is damaged, or the bytes are not UTF-8 text.
        """
        if not self._held:
            return self._read(size)
        data, self._held = self._held, b""
        if 0 <= size < len(data):
            data, self._held = data[:size], data[size:]
        return data

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except _DAMAGE as error:
            raise _unreadable(self._file, error) from error
        if self._file.form == "csv":
            self.quotes += _quotes(data)
        # Check the encoding first: the csv parser reports a wrong encoding on standard error.
        text = self._cut_off + data if self._cut_off else data
        whole = _whole_letters(text) if data else len(text)
        try:
            _check_text(text, whole)
        except pa.ArrowInvalid as error:
            raise not_text(self._file.label, *other_encoding(text, self._begun)) from error
        self._cut_off = text[whole:]
        self._begun = True
        return data


def not_text(label: str, what: str = "", encoding: str = "") -> MetadataError:
    """The error for a file that is not UTF-8.

    Args:
        label: The name of the file in messages.
        what: What was found instead, as the end of a sentence.
        encoding: Python's name of the encoding that the file seems to have.
    """
    fix = f"save it as UTF-8 (pandas reads it with encoding={encoding!r})"
    return MetadataError(
        f"is not UTF-8 text{what}", where=label, fix=fix if encoding else "download it again"
    )


def other_encoding(text: bytes, begun: bool = False) -> tuple[str, str]:
    """Guess the encoding of bytes that are not UTF-8: ``what`` and ``encoding`` of ``not_text``."""
    for mark, name in _MARKS.items():
        if not begun and text.startswith(mark):
            return f" but {name}", name.lower()
    for first, name in enumerate(("utf-16-be", "utf-16-le")):
        # UTF-16 without a mark: every second byte of the column names is zero.
        if not begun and not any(text[first : 2 * _CONTEXT : 2]) and len(text) > 1:
            return " but UTF-16", name
    try:
        text.decode()
    except UnicodeDecodeError as error:
        start = error.start
    else:
        return "", ""
    # Text from Windows has letters and typographic signs here; a damaged file mostly has neither.
    around = text[max(0, start - _CONTEXT) : start + _CONTEXT].decode("cp1252", "replace")
    sign = text[start : start + 1].decode("cp1252", "replace")
    if start + 1 == len(text) or not (sign.isalpha() or sign in _TYPOGRAPHY):
        return "", ""
    shown = around.splitlines()
    line = next(part for part in shown if sign in part)
    return f"; it looks like cp1252, as spreadsheet programs write it ({line!r})", "cp1252"


def _quotes(data: bytes) -> int:
    # ``bytes.count`` would hold the GIL, which the parsing threads need. In parts, because the
    # comparison takes memory.
    letters = np.frombuffer(data, np.uint8)
    return sum(
        int(np.count_nonzero(letters[start : start + _PART] == _QUOTE))
        for start in range(0, len(letters), _PART)
    )


def _whole_letters(text: bytes) -> int:
    """The number of bytes without a character at the end whose UTF-8 bytes are cut off."""
    for back, byte in enumerate(text[:-_LONGEST_LETTER:-1], start=1):
        if byte >= _FIRST_OF_SEVERAL:
            letter = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(text) - back if letter > back else len(text)
        if byte < _CONTINUED:
            break
    return len(text)


def _check_text(data: bytes, length: int) -> None:
    """Check that bytes are UTF-8 without holding the GIL, which the parsing threads need.

    Raises:
        ArrowInvalid: They are not UTF-8.
    """
    ends = pa.py_buffer(np.array([0, length], np.int64))
    whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(data)])
    whole.cast(pa.large_string())


@contextmanager
def open_metadata(file: MetadataFile) -> Iterator[MetadataStream]:
    """Open a metadata file; a member of the metadata zip is not unpacked to disk.

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
        # Opening a pipe would wait for a writer; ``LocalFile`` refuses pointers of Git LFS.
        LocalFile(require_regular(path)).close()
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
    """The first line of a library's message, shortened to 160 characters."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 160 else f"{line[:160]}…"
