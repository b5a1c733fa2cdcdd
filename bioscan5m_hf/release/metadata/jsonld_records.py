"""Stream the records of a JSON-LD metadata file, one array of flat objects, in bounded memory.

``json.load`` would need some 30 GB for the full release. Here a few megabytes of text are held at a
time. Objects with upstream's layout are decoded many at once. All others are decoded one by one by
the standard library's decoder, with the same result.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import pyarrow as pa

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.metadata.jsonld_blocks import Blocks

_CHUNK_BYTES: Final = 1 << 20
_LONGEST_OBJECT: Final = 8 << 20
# "-Infinity" and escapes such as "\\ud83e\\udd97" are the longest that can be cut off.
_LONGEST_WORD: Final = 16
_SPACE: Final = re.compile(r"[ \t\n\r]*")

Pairs = list[tuple[str, object]]


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read up to ``size`` bytes; none at the end."""
        ...


class _Text:
    """A window on the text that only moves forward."""

    def __init__(self, stream: Readable, label: str) -> None:
        self._stream = stream
        self._label = label
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self.window = ""
        self.position = 0
        self.ended = False

    def more(self) -> bool:
        """Append more text to the window; false if the text has ended."""
        if self.ended:
            return False
        chunk = self._stream.read(_CHUNK_BYTES)
        self.ended = not chunk
        try:
            text = self._decode.decode(chunk, final=self.ended)
        except UnicodeDecodeError as error:
            raise MetadataError("is not UTF-8 text", where=self._label) from error
        self.window = self.window[self.position :] + text
        self.position = 0
        return True

    def forget(self) -> None:
        """Drop the text before the position, if that is most of the window."""
        if 2 * self.position > len(self.window):
            self.window = self.window[self.position :]
            self.position = 0

    def next_mark(self) -> str:
        """Skip white space, and return the next character without consuming it; "" at the end."""
        while True:
            match = _SPACE.match(self.window, self.position)
            assert match is not None
            self.position = match.end()
            if self.position < len(self.window):
                return self.window[self.position]
            if not self.more():
                return ""


def read_blocks(
    stream: Readable, label: str, names: Sequence[str]
) -> Iterator[Pairs | pa.RecordBatch]:
    """Decode the objects of a JSON array, many at once if possible.

    Yields:
        A list or a record batch. A list is one object, always the first one: its names and values,
        in its order, with repeated names. A number is the text in the file. ``NaN``, which is not
        JSON but which programs write for a missing value, is ``None``. A record batch is several
        objects that have exactly these names, in any order, and text values: columns of strings
        without nulls.

    Raises:
        MetadataError: The text is not UTF-8, is not an array of objects, breaks off, or holds an
            object of more than 8 million characters.
    """
    text = _Text(stream, label)
    if text.next_mark() != "[":
        raise MetadataError(
            "is not a JSON array of records",
            where=label,
            fix="expected '[' at its start, as to_json(orient='records') of pandas writes it",
        )
    text.position += 1
    decoder = json.JSONDecoder(
        object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=_constant
    )
    blocks = Blocks(names)
    number = 0
    mark = text.next_mark()
    while mark != "]" or number:
        if mark != "{":
            raise _unexpected(mark, label, number + 1)
        if number and (taken := blocks.take(text.window, text.position)):
            batch, text.position = taken
            number += batch.num_rows
            yield batch
        else:
            number += 1
            yield _decode_one(text, decoder, f"{label}: row {number}")
        mark = text.next_mark()
        if mark == "]":
            break
        if mark != ",":
            raise _unexpected(mark, label, number)
        text.position += 1
        mark = text.next_mark()
    text.position += 1
    if trailing := text.next_mark():
        raise MetadataError(f"goes on with {trailing!r} after the end of its array", where=label)


def _decode_one(text: _Text, decoder: json.JSONDecoder, where: str) -> Pairs:
    # An error of the decoder counts the lines before it, so the text before should be short.
    text.forget()
    while True:
        try:
            pairs, end = decoder.raw_decode(text.window, text.position)
        except RecursionError as error:
            raise MetadataError("is nested too deep", where=where) from error
        except json.JSONDecodeError as error:
            # An object cut off by the window looks malformed until more text is read.
            if not _may_be_cut_off(error, text.window):
                raise MetadataError(f"is not valid JSON ({error.msg})", where=where) from error
            if len(text.window) - text.position > _LONGEST_OBJECT:
                raise MetadataError("is too long", where=where) from error
            if not text.more():
                raise MetadataError(
                    f"breaks off ({error.msg})", where=where, fix="download it again"
                ) from error
        else:
            text.position = end
            return pairs  # type: ignore[no-any-return]


def _constant(name: str) -> float | None:
    return None if name == "NaN" else float(name)


def _may_be_cut_off(error: json.JSONDecodeError, window: str) -> bool:
    """Whether more text could resolve the error: the window ends in a string or within a word."""
    return error.msg.startswith("Unterminated string") or error.pos + _LONGEST_WORD >= len(window)


def _unexpected(mark: str, label: str, number: int) -> MetadataError:
    found = f"found {mark!r} where a record should stand" if mark else "breaks off"
    return MetadataError(found, where=f"{label}: row {number}", fix="download it again")
