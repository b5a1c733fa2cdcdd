"""Read upstream's metadata, csv or JSON-LD, as Arrow record batches of the declared schema.

Both forms are read as text first and then converted by the same code, so that both give the same
rows. Only the empty string is a missing value: ``NA``, ``None`` and ``nan`` are text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import counted
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.csv import read_csv
from bioscan5m_hf.release.metadata.rows import BadRow, OnBadRow, OnNote, Texts, raiser
from bioscan5m_hf.release.metadata.stream import MetadataStream, open_metadata
from bioscan5m_hf.schema.columns import (
    COLUMNS,
    RANKS,
    SPLITS,
    Column,
    Kind,
    arrow_schema,
    column_names,
)
from bioscan5m_hf.schema.order import chunks_of, keys_of
from bioscan5m_hf.storage.prefetch import ahead

__all__ = [
    "KEY",
    "KEYED_SCHEMA",
    "ROW",
    "ROW_SCHEMA",
    "BadRow",
    "OnBadRow",
    "OnNote",
    "read_metadata",
]

ROW: Final = "row"
"""The column with the number of each record in its file; the csv header is row 1."""

ROW_SCHEMA: Final = pa.schema(
    [*arrow_schema(image=False), pa.field(ROW, pa.uint64())], metadata=None
)
"""Upstream's columns in their order, then the row number."""

KEY: Final = "key"
"""The column with the sort key of each processid, from ``keys_of``."""

KEYED_SCHEMA: Final = ROW_SCHEMA.append(pa.field(KEY, pa.uint64()))

# A processid must work as a file name and as a WebDataset key. A key ends at the first dot, readers
# skip keys that begin with two underscores, and a tar header has 100 bytes for a name.
_PLAIN_NAME: Final = r"^(?:[^_/\\.\x00-\x1f\x7f]|_[^_/\\.\x00-\x1f\x7f])[^/\\.\x00-\x1f\x7f]*$"
_LONGEST_NAME: Final = 90
_LARGEST_EXACT: Final = 2.0**53
# The range of possible values of each column.
_BOUNDS: Final = {
    "coord-lat": (-90.0, 90.0),
    "coord-lon": (-180.0, 180.0),
    "image_measurement_value": (0.0, math.inf),
    "area_fraction": (0.0, math.inf),
    "scale_factor": (0.0, math.inf),
    "index_bioscan_1M_insect": (0.0, math.inf),
}
_LABELS: Final = [rank for rank in reversed(RANKS) if rank != "dna_bin"]
_UNASSIGNED: Final = "unassigned "


def read_metadata(
    file: MetadataFile, on_bad_row: OnBadRow | None = None, on_note: OnNote | None = None
) -> Iterator[pa.RecordBatch]:
    """Read the rows of a metadata file in its order.

    Args:
        file: The file, or the member of the metadata zip, which is not unpacked to disk.
        on_bad_row: Takes each record that does not fit the schema; such records are left out. By
            default such a record is an error. Malformed rows are reported from another thread,
            possibly before bad values of earlier rows.
        on_note: Takes sentences about a file that can be read: columns that are ignored, and
            records that contradict themselves without loss of data.

    Yields:
        Record batches of ``KEYED_SCHEMA``.

    Raises:
        MetadataError: The file cannot be read, or a column is missing, unknown or repeated in its
            header or first object. Without ``on_bad_row`` also if a record has a wrong number of
            fields, a processid that cannot be a file name, an unknown split, a value that cannot
            be parsed or is impossible, or a chunk that does not match its processid.
    """
    report = on_bad_row or raiser(file.label)
    note = on_note or _unheard
    taxa = _Taxa()
    with (
        open_metadata(file) as stream,
        # The text is parsed in a thread while values of earlier rows are converted.
        closing(ahead(_reader_of(file)(stream, file.label, report, note))) as texts,
    ):
        for text, rows in texts:
            taxa.compare(text, rows)
            yield _convert(text, rows, report)
    if taxa.others:
        note(f"{file.label}: {taxa.description}")


def _unheard(_note: str) -> None:
    """Ignore a note."""


def _reader_of(file: MetadataFile) -> Callable[[MetadataStream, str, OnBadRow, OnNote], Texts]:
    if file.form == "csv":
        return read_csv
    # Imported late: its regular expressions take a while to compile, and most metadata are csv.
    from bioscan5m_hf.release.metadata.jsonld import read_jsonld

    return read_jsonld


class _Taxa:
    """Compares the taxon of each record with the most specific of its labels.

    Upstream defines the taxon as the most specific label. If it differs, nothing is lost, because
    the labels are stored too; so it is kept and reported. If the most specific label is
    "unassigned …", any taxon is accepted.
    """

    def __init__(self) -> None:
        self.others = 0
        self._first = ""

    @property
    def description(self) -> str:
        """The differences, as a sentence."""
        return (
            f"the taxon of {counted(self.others, 'record')} is not the most specific of the "
            f"labels, and is kept as it is; the first is {self._first}"
        )

    def compare(self, text: pa.RecordBatch, rows: npt.NDArray[np.uint64]) -> None:
        """Compare some records."""
        taxon = text.column("taxon")
        deepest = pc.coalesce(*(text.column(rank) for rank in _LABELS))
        same = pc.equal(taxon, deepest)
        if pc.all(same).as_py() is not False:
            return
        other = pc.and_(pc.invert(same), pc.invert(pc.starts_with(deepest, _UNASSIGNED)))
        found = np.flatnonzero(other.fill_null(False))
        if found.size and not self.others:
            at = int(found[0])
            self._first = (
                f"row {rows[at]} ({text.column('processid')[at]}): "
                f"{taxon[at].as_py()!r:.60}, labelled {deepest[at].as_py()!r:.60}"
            )
        self.others += found.size


# ---------------------------------------------------------------------------------- conversion


def _convert(
    text: pa.RecordBatch, rows: npt.NDArray[np.uint64], report: OnBadRow
) -> pa.RecordBatch:
    problems: list[tuple[Column, str, npt.NDArray[np.bool_]]] = []
    arrays: list[pa.Array] = []
    for column in COLUMNS:
        values = text.column(column.name)
        typed, bad = _parse(values, column.kind)
        arrays.append(typed)
        if bad is not None:
            problems.append((column, "unparsable-value", bad))
        if column.required and values.null_count:
            problems.append((column, "missing-value", _mask(values.is_null())))
    processid, split = text.column("processid"), text.column("split")
    plain = pc.and_(
        pc.match_substring_regex(processid, _PLAIN_NAME),
        pc.less_equal(pc.binary_length(processid), _LONGEST_NAME),
    )
    if (odd := _mismatch(plain)) is not None:
        problems.append((COLUMNS[0], "bad-processid", odd))
    known = pa.array([name.name for name in SPLITS])
    if (odd := _mismatch(pc.is_in(split, known))) is not None:
        problems.append((_column("split"), "unknown-split", odd & ~_mask(split.is_null())))
    keys = keys_of(processid.fill_null(""))
    expected = chunks_of(keys, split)
    if (odd := _mismatch(pc.equal(text.column("chunk").fill_null(""), expected))) is not None:
        problems.append((_column("chunk"), "wrong-chunk", odd))
    for name, (least, most) in _BOUNDS.items():
        values = arrays[column_names().index(name)]
        extremes = pc.min_max(values)
        if (extremes["min"].as_py() or 0) < least or (extremes["max"].as_py() or 0) > most:
            inside = pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most))
            if (odd := _mismatch(inside)) is not None:
                problems.append((_column(name), "impossible-value", odd))
    batch = pa.record_batch([*arrays, pa.array(rows), pa.array(keys)], schema=KEYED_SCHEMA)
    return _leave_out(batch, text, rows, problems, expected, report) if problems else batch


def _column(name: str) -> Column:
    return next(column for column in COLUMNS if column.name == name)


def _mask(array: pa.Array) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = array.to_numpy(zero_copy_only=False)
    return mask


def _mismatch(matches: pa.Array) -> npt.NDArray[np.bool_] | None:
    if pc.all(matches, skip_nulls=True).as_py() in (True, None):
        return None
    return _mask(pc.invert(pc.fill_null(matches, True)))


def _parse(values: pa.Array, kind: Kind) -> tuple[pa.Array, npt.NDArray[np.bool_] | None]:
    """Parse a column; the mask marks values that cannot be parsed, ``None`` if there are none."""
    if kind is Kind.STRING:
        return values, None
    try:
        parsed = values.cast(pa.float64())
    except pa.ArrowInvalid:
        return _parse_singly(values, kind)
    bad = pc.invert(_acceptable(parsed, kind))
    if not pc.any(bad, skip_nulls=True).as_py():
        return parsed.cast(kind.arrow), None
    kept = pc.if_else(bad, pa.scalar(None, pa.float64()), parsed)
    return kept.cast(kind.arrow), _mask(pc.fill_null(bad, False))


def _acceptable(parsed: pa.Array, kind: Kind) -> pa.Array:
    finite = pc.is_finite(parsed)
    if kind is Kind.FLOAT:
        return finite
    # Upstream writes integers as floats ("150502.0"), which are exact up to 2**53.
    limit = 127.0 if kind is Kind.SMALL_INTEGER else _LARGEST_EXACT
    whole = pc.equal(pc.floor(parsed), parsed)
    return pc.and_(pc.and_(finite, whole), pc.less_equal(pc.abs(parsed), limit))


def _parse_singly(values: pa.Array, kind: Kind) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    parsed: list[float | None] = []
    bad = np.zeros(len(values), np.bool_)
    for index, scalar in enumerate(values):
        try:
            parsed.append(scalar.cast(pa.float64()).as_py())
        except pa.ArrowInvalid:
            parsed.append(None)
            bad[index] = True
    typed, also_bad = _parse_floats(pa.array(parsed, pa.float64()), kind)
    return typed, bad | also_bad


def _parse_floats(parsed: pa.Array, kind: Kind) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    bad = pc.fill_null(pc.invert(_acceptable(parsed, kind)), False)
    kept = pc.if_else(bad, pa.scalar(None, pa.float64()), parsed)
    return kept.cast(kind.arrow), _mask(bad)


def _leave_out(
    batch: pa.RecordBatch,
    text: pa.RecordBatch,
    rows: npt.NDArray[np.uint64],
    problems: list[tuple[Column, str, npt.NDArray[np.bool_]]],
    expected: pa.Array,
    report: OnBadRow,
) -> pa.RecordBatch:
    out = np.logical_or.reduce([mask for _, _, mask in problems])
    for index in np.flatnonzero(out).tolist():
        # A row may have several problems; only the first is reported.
        column, reason, _ = next(problem for problem in problems if problem[2][index])
        value = text.column(column.name)[index].as_py()
        report(
            BadRow(
                int(rows[index]),
                text.column("processid")[index].as_py(),
                text.column("split")[index].as_py(),
                reason,
                _describe(column, reason, value, expected[index].as_py()),
            )
        )
    return batch.filter(pa.array(~out))


def _describe(column: Column, reason: str, value: str | None, chunk: str) -> str:
    if reason == "missing-value":
        return f"{column.name} is empty"
    if reason == "bad-processid":
        return f"the processid {value!r:.60} cannot be the name of a file"
    if reason == "unknown-split":
        names = ", ".join(split.name for split in SPLITS)
        return f"there is no split {value!r:.60} (splits: {names})"
    if reason == "wrong-chunk":
        digits = f"begins with {chunk!r}" if chunk else "names no folder in this split"
        return f"the chunk is {(value or '')[:60]!r}, and md5(processid) {digits}"
    if reason == "impossible-value":
        least, most = _BOUNDS[column.name]
        wanted = "below 0" if math.isinf(most) else f"not between {least:g} and {most:g} degrees"
        return f"{column.name} is {wanted}: {value!r:.60}"
    return f"{column.name} is not a {_NOUNS[column.kind]}: {value!r:.60}"


_NOUNS: Final = {
    Kind.FLOAT: "number",
    Kind.INTEGER: "whole number",
    Kind.SMALL_INTEGER: "whole number from -127 to 127",
    Kind.STRING: "text",
}
