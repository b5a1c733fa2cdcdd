"""Read csv metadata as columns of text, and report each malformed row by its number."""

from __future__ import annotations

import csv
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.metadata.rows import BadRow, OnBadRow, OnNote, Texts, check_header
from bioscan5m_hf.release.metadata.stream import (
    MetadataStream,
    first_line,
    not_text,
    other_encoding,
)
from bioscan5m_hf.schema.columns import column_names

# A row must fit into a block; upstream's longest row has some 3,000 bytes.
_BLOCK_BYTES: Final = 4 << 20
_LONGEST_HEADER: Final = 1 << 16
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(stream: MetadataStream, label: str, report: OnBadRow, note: OnNote) -> Texts:
    """Read the rows of a csv file as text.

    Args:
        stream: The bytes of the file.
        label: The name of the file in messages.
        report: Takes each row with a wrong number of fields; such rows are left out.
        note: Takes a sentence about columns that are not read.

    Yields:
        Batches of rows, and the numbers of these rows.

    Raises:
        MetadataError: It is not csv, or its columns are not upstream's.
    """
    header = _read_header(stream, label)
    if header:
        check_header(header, label, note)
    broken = _BrokenRows(report)
    try:
        # Without threads, because a parser with threads does not know the numbers of rows.
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pacsv.ParseOptions(
                newlines_in_values=True, invalid_row_handler=broken.leave_out
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in header},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                # The stream checks this.
                check_utf8=False,
            ),
        )
        if reader.schema.names != header:
            raise _no_csv("its first line is not one of names", label)
        row = 2
        for batch in reader:
            rows, row = _number_rows(batch.num_rows, row, broken.numbers)
            yield batch.select(column_names()), rows
    except pa.ArrowInvalid as error:
        if broken.failure:
            raise broken.failure from error
        detail = first_line(error)
        if "straddling" in detail:
            detail = f"a row of more than {_BLOCK_BYTES:,} bytes, or a quote that is never closed"
        raise _no_csv(detail, label) from error
    # A value without its closing quote would swallow all rows after it.
    if stream.quotes % 2:
        raise _no_csv("a quote is never closed", label)


class _BrokenRows:
    """Collects the rows with a wrong number of fields, or the error if these are not allowed."""

    def __init__(self, report: OnBadRow) -> None:
        self.numbers: list[int] = []
        self.failure: MetadataError | None = None
        self._report = report

    def leave_out(self, row: pacsv.InvalidRow) -> str:
        """Report a row to the caller, and tell the parser whether to skip it or to stop.

        An exception cannot pass through the parser, so it is kept and raised afterwards.
        """
        self.numbers.append(row.number)
        found = f"has {row.actual_columns} fields instead of {row.expected_columns}"
        # If a quote was never closed, the text may be a whole block.
        bad = BadRow(row.number, None, None, "broken-row", f"{found}: {row.text[:60]!r}")
        try:
            self._report(bad)
        except MetadataError as error:
            self.failure = error
            return "error"
        return "skip"


def _read_header(stream: MetadataStream, label: str) -> list[str]:
    """Read the names of the columns before the parser does, because it accepts any number of them.

    Returns:
        The names; empty if there are only empty lines, for which the parser raises an error.
    """
    line = stream.first_line(_LONGEST_HEADER)
    if line is None:
        raise _no_csv(f"its first line has more than {_LONGEST_HEADER:,} bytes", label)
    if b"\0" in line:
        raise not_text(label, *other_encoding(line))
    text = line.decode("utf-8-sig", "replace")
    names = _fields(text, ",")
    for separator, called in _SEPARATORS.items():
        if len(names) < len(found := _fields(text, separator)) and "processid" in found:
            raise MetadataError(
                f"its columns are separated by {called} ({separator!r}), not by commas",
                where=label,
                fix="save it with commas, and with points in its numbers (pandas reads it with "
                f"sep={separator!r})",
            )
    return names


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])


def _no_csv(detail: str, label: str) -> MetadataError:
    return MetadataError(f"cannot be read as csv ({detail})", where=label, fix="download it again")


def _number_rows(count: int, first: int, broken: list[int]) -> tuple[npt.NDArray[np.uint64], int]:
    """The numbers of the next rows, skipping rows that were left out, and the number after them."""
    skipped = sum(1 for number in broken if number >= first)
    candidates = np.arange(first, first + count + skipped, dtype=np.uint64)
    rows = candidates[~np.isin(candidates, np.asarray(broken, np.uint64))][:count]
    return rows, int(rows[-1]) + 1 if count else first
