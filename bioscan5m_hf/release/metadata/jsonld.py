"""Read JSON-LD metadata as columns of text, and report each malformed record by its number."""

from __future__ import annotations

import reprlib
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bioscan5m_hf.release.metadata.jsonld_records import Pairs, read_blocks
from bioscan5m_hf.release.metadata.rows import (
    BadRow,
    OnBadRow,
    OnNote,
    Texts,
    check_header,
)
from bioscan5m_hf.release.metadata.stream import MetadataStream
from bioscan5m_hf.schema.columns import COLUMNS, check_columns, column_names

_BATCH: Final = 4096
_SHOWN: Final = 5


def read_jsonld(stream: MetadataStream, label: str, report: OnBadRow, note: OnNote) -> Texts:
    """Read the records of a JSON-LD file as text.

    Numbers, which ``to_json`` of pandas writes, are kept as the text in the file, as in csv.

    Args:
        stream: The bytes of the file.
        label: The name of the file in messages.
        report: Takes each record with other names than upstream's or with values that are not
            text; such records are left out.
        note: Takes a sentence about keys that are not read.

    Yields:
        Batches of rows with upstream's columns as strings, where empty strings are null; and the
        numbers of these rows.

    Raises:
        MetadataError: It is not a JSON array of objects, or the first object has other names.
    """
    names = column_names()
    gathered = _Gathered(names)
    number = 0
    index: frozenset[str] = frozenset()
    for found in read_blocks(stream, label, names):
        if isinstance(found, pa.RecordBatch):
            gathered.add_block(number + 1, found)
            number += found.num_rows
        else:
            number += 1
            if number == 1:
                index = check_header((name for name, _ in found), f"{label}: row 1", note)
            pairs = [pair for pair in found if pair[0] not in index] if index else found
            value = _ordered(pairs, names)
            if bad := _bad_object(pairs, number) if value is None else _not_text(value, number):
                report(bad)
            elif value is not None:
                gathered.add_row(number, value)
        if gathered.rows >= _BATCH:
            yield gathered.take()
    if gathered.rows:
        yield gathered.take()


class _Gathered:
    """Collects rows that come one by one or as batches, and keeps their order."""

    def __init__(self, names: list[str]) -> None:
        self.rows = 0
        self._names = names
        self._single: list[list[object]] = []
        self._blocks: list[pa.RecordBatch] = []
        self._numbers: list[npt.NDArray[np.uint64]] = []

    def add_row(self, number: int, values: list[object]) -> None:
        self._single.append(values)
        self._numbers.append(np.array([number], np.uint64))
        self.rows += 1

    def add_block(self, first: int, block: pa.RecordBatch) -> None:
        self._close_single()
        columns = [_empty_as_null(column) for column in block.columns]
        self._blocks.append(pa.record_batch(columns, names=self._names))
        self._numbers.append(np.arange(first, first + block.num_rows, dtype=np.uint64))
        self.rows += block.num_rows

    def _close_single(self) -> None:
        if self._single:
            columns = zip(*self._single, strict=True)
            arrays = [pa.array((v or None for v in column), pa.string()) for column in columns]
            self._blocks.append(pa.record_batch(arrays, names=self._names))
            self._single = []

    def take(self) -> tuple[pa.RecordBatch, npt.NDArray[np.uint64]]:
        self._close_single()
        batch, numbers = pa.concat_batches(self._blocks), np.concatenate(self._numbers)
        self.rows, self._blocks, self._numbers = 0, [], []
        return batch, numbers


def _empty_as_null(column: pa.Array) -> pa.Array:
    """Replace empty strings by nulls without copying; the column must have no nulls yet."""
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    filled = np.packbits(bounds[1:] != bounds[:-1], bitorder="little")
    buffers = [pa.py_buffer(filled), pa.py_buffer(np.ascontiguousarray(bounds)), data]
    return pa.Array.from_buffers(column.type, len(column), buffers)


def _ordered(pairs: Pairs, names: list[str]) -> list[object] | None:
    """The values in the order of the columns; ``None`` if the names are not the columns'."""
    if [name for name, _ in pairs] == names:
        return [value for _, value in pairs]
    by_name = dict(pairs)
    if len(pairs) != len(names) or any(name not in by_name for name in names):
        return None
    return [by_name[name] for name in names]


def _bad_object(pairs: Pairs, row: int) -> BadRow:
    missing, extra, repeated = check_columns(name for name, _ in pairs)
    found = ", ".join(
        f"{what} {reprlib.repr(name)}"
        for what, names in (("lacks", missing), ("has the unknown", extra), ("repeats", repeated))
        for name in names[:_SHOWN]
    )
    return BadRow(row, _text_of(pairs, "processid"), _text_of(pairs, "split"), "broken-row", found)


def _text_of(pairs: Pairs, wanted: str) -> str | None:
    found = [value for name, value in pairs if name == wanted]
    return found[0] if found and isinstance(found[0], str) and _is_unicode(found[0]) else None


def _is_unicode(text: str) -> bool:
    """Whether text can be encoded as UTF-8; JSON escapes can make lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_text(values: list[object], row: int) -> BadRow | None:
    for column, value in zip(COLUMNS, values, strict=True):
        if value is not None and not (isinstance(value, str) and _is_unicode(value)):
            known = dict(zip(column_names(), values, strict=True))
            pairs = list(known.items())
            processid, split = _text_of(pairs, "processid"), _text_of(pairs, "split")
            what = "no text" if isinstance(value, str) else "not a string"
            detail = f"{column.name} is {what}: {reprlib.repr(value)}"
            return BadRow(row, processid, split, "unparsable-value", detail)
    return None
