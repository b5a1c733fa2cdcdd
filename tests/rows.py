"""Metadata rows, plain and wild, and the files that hold them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from hypothesis import strategies as st

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import BadRow, OnNote, read_metadata
from bioscan5m_hf.schema.columns import COLUMNS, SPLITS, Kind, column_names
from tests.independent import _typed

NAMES = column_names()
Text = dict[str, str]


def plain(number: int, **values: str) -> Text:
    named = {name.replace("_lat", "-lat").replace("_lon", "-lon"): v for name, v in values.items()}
    row = dict.fromkeys(NAMES, "") | {"processid": f"P{number}-23", "split": "train"} | named
    return row if "chunk" in named else row | {"chunk": chunk(row["processid"], row["split"])}


def chunk(processid: str, split: str) -> str:
    """The folder that upstream puts an image into, below its split."""
    digits = {"pretrain": 2, "train": 1, "other_heldout": 1}.get(split, 0)
    return hashlib.md5(processid.encode()).hexdigest()[:digits]


def as_csv(
    rows: Sequence[Text], *, line_end: str = "\n", quoting: int = csv.QUOTE_MINIMAL
) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, NAMES, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_jsonld(rows: Sequence[dict[str, Any]], *, ascii_only: bool = False) -> bytes:
    return json.dumps(rows, indent=4, ensure_ascii=ascii_only).encode()


WRITERS: dict[str, Callable[[Sequence[Text]], bytes]] = {"csv": as_csv, "jsonld": as_jsonld}
Form = Literal["csv", "jsonld"]


def read(
    path: Path,
    data: bytes,
    form: Form,
    *,
    record: bool = False,
    on_note: OnNote | None = None,
) -> tuple[list[dict[str, Any]], list[BadRow]]:
    """The rows that come out of a file, and those that do not."""
    path.write_bytes(data)
    bad: list[BadRow] = []
    rows: list[dict[str, Any]] = []
    file = MetadataFile(path, form)
    for batch in read_metadata(file, bad.append if record else None, on_note):
        rows += batch.to_pylist()
    return rows, bad


def error_of(path: Path, data: bytes, form: Form, *, record: bool = False) -> str:
    """The message about a file that cannot be read."""
    try:
        rows, bad = read(path, data, form, record=record)
    except MetadataError as error:
        return str(error)
    raise AssertionError(f"no error, but {len(rows)} rows and {len(bad)} bad ones")


def _key(row: Text) -> int:
    digest = hashlib.md5(row["processid"].encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big")


def expected(rows: Sequence[Text], *, first: int) -> list[dict[str, Any]]:
    """What should come out of rows, by the standard library alone."""
    return [
        {name: _typed(name, row[name]) for name in NAMES} | {"row": number, "key": _key(row)}
        for number, row in enumerate(rows, start=first)
    ]


# Every sign that UTF-8 can hold, those with a meaning in csv, JSON, YAML or Markdown often.
wild_text = st.text(
    st.one_of(
        st.sampled_from(list(",\"'\n\r\t;|\\{}[]:#*_`<&-é蝶🦋\u2028\ufeff")),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    max_size=12,
) | st.sampled_from(["NA", "None", "nan", "NULL", "null", "true", "1.0", "#N/A", " ", "---\n"])

_NAME_SIGNS = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='/\\."\u2028\u2029')
processids = st.text(_NAME_SIGNS, min_size=1, max_size=20).filter(lambda s: not s.startswith("_"))

_floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
_VALUES = {
    Kind.STRING: wild_text,
    Kind.FLOAT: _floats | st.integers(-180, 180).map(str),
    Kind.INTEGER: st.integers(-(2**53), 2**53).map(str)
    | st.integers(0, 10**7).map(lambda n: f"{n}.0"),
    Kind.SMALL_INTEGER: st.integers(-127, 127).map(str),
}

_WITHIN = (
    ("coord-lat", -90, 90),
    ("coord-lon", -180, 180),
    ("area_fraction", 0, 1),
    ("scale_factor", 0, 100),
)


@st.composite
def wild_rows(draw: st.DrawFn) -> list[Text]:
    """Rows that fit the schema, whatever their text."""
    rows = []
    for processid in draw(st.lists(processids, min_size=1, max_size=6)):
        row = {c.name: draw(st.just("") | _VALUES[c.kind]) for c in COLUMNS}
        split = draw(st.sampled_from([s.name for s in SPLITS]))
        row |= {"processid": processid, "split": split, "chunk": chunk(processid, split)}
        for name, least, most in _WITHIN:
            row[name] = draw(st.just("") | st.floats(least, most).map(repr))
        for name in ("image_measurement_value", "index_bioscan_1M_insect"):
            row[name] = row[name].removeprefix("-")
        rows.append(row)
    return rows
