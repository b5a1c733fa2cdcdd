"""Metadata of both forms against ``csv`` and ``json``, and rows that do not fit."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import random
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings

from bioscan5m_hf.errors import BioscanError, MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import KEYED_SCHEMA, read_metadata
from bioscan5m_hf.release.metadata.rows import in_file_order
from bioscan5m_hf.schema.columns import SPLITS
from tests.rows import (
    NAMES,
    WRITERS,
    Form,
    Text,
    as_csv,
    as_jsonld,
    error_of,
    expected,
    plain,
    read,
    wild_rows,
)

FIRST = {"csv": 2, "jsonld": 1}
forms = pytest.mark.parametrize("form", ["csv", "jsonld"])
wild = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@wild
@given(rows=wild_rows())
def test_any_csv_is_read_as_python_reads_it(rows: list[Text], tmp_path: Path) -> None:
    # Python's writer leaves a carriage return without quotes unless its line end has one.
    for line_end, quoting in (("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)):
        data = as_csv(rows, line_end=line_end, quoting=quoting)
        assert [*csv.DictReader(io.StringIO(data.decode(), newline=""))] == rows
        found, _ = read(tmp_path / "a.csv", data, "csv")
        assert found == expected(rows, first=2)


@wild
@given(rows=wild_rows())
def test_any_jsonld_is_read_as_python_reads_it(rows: list[Text], tmp_path: Path) -> None:
    for ascii_only in (False, True):
        found, _ = read(tmp_path / "a.jsonld", as_jsonld(rows, ascii_only=ascii_only), "jsonld")
        assert found == expected(rows, first=1)


@forms
def test_types_and_missing_values(form: Form, tmp_path: Path) -> None:
    row = plain(
        1,
        coord_lat="10.327123",
        coord_lon="-84.08",
        image_measurement_value="8605.0",
        inferred_ranks="4",
        index_bioscan_1M_insect="150502.0",
        split="pretrain",
        taxon="NA",
        species="nan",
    )
    [found], _ = read(tmp_path / "a", WRITERS[form]([row]), form)
    assert found["coord-lat"] == 10.327123
    assert found["index_bioscan_1M_insect"] == 150502
    assert found["chunk"] == hashlib.md5(b"P1-23").hexdigest()[:2]
    assert (found["taxon"], found["species"], found["genus"]) == ("NA", "nan", None)
    assert found["area_fraction"] is None
    batches = list(read_metadata(MetadataFile(tmp_path / "a", form)))
    assert all(batch.schema == KEYED_SCHEMA for batch in batches)


@forms
def test_any_order_of_the_columns_will_do(form: Form, tmp_path: Path) -> None:
    rows = [plain(1, taxon="a"), plain(2, taxon="b")]
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    if form == "csv":
        lines = [",".join(shuffled), *(",".join(row[n] for n in shuffled) for row in rows)]
        data = "\n".join(lines).encode()
    else:
        data = as_jsonld([{name: row[name] for name in shuffled} for row in rows])
    assert read(tmp_path / "a", data, form)[0] == expected(rows, first=FIRST[form])


def test_line_ends_and_marks_that_editors_leave(tmp_path: Path) -> None:
    rows = [plain(1, taxon="two\nlines"), plain(2), plain(3)]
    wanted = expected(rows, first=2)
    data = as_csv(rows)
    for other in (
        b"\xef\xbb\xbf" + data,
        as_csv(rows, line_end="\r\n"),
        data.removesuffix(b"\n"),
        data + b"\n\n",
    ):
        assert read(tmp_path / "a.csv", other, "csv")[0] == wanted
    json_data = as_jsonld(rows)
    for other in (b"\xef\xbb\xbf" + json_data, b"\n \t" + json_data + b"\r\n"):
        assert read(tmp_path / "a.jsonld", other, "jsonld")[0] == expected(rows, first=1)


BAD = {
    "unparsable-value": [
        ("coord_lat", "north", "coord-lat is not a number: 'north'"),
        ("coord_lat", "nan", "coord-lat is not a number: 'nan'"),
        ("coord_lon", "inf", "coord-lon is not a number: 'inf'"),
        ("coord_lon", "1e999", "coord-lon is not a number: '1e999'"),
        ("area_fraction", "0,5", "area_fraction is not a number: '0,5'"),
        ("index_bioscan_1M_insect", "1.5", "is not a whole number: '1.5'"),
        ("index_bioscan_1M_insect", "9007199254740994", "is not a whole number"),
        ("image_measurement_value", "many", "is not a whole number: 'many'"),
        ("inferred_ranks", "128", "is not a whole number from -127 to 127: '128'"),
        ("scale_factor", "x" * 500, "scale_factor is not a number: 'xxxx"),
    ],
    "unknown-split": [
        ("split", "validation", "there is no split 'validation' (splits: pretrain, train"),
        ("split", "Train", "there is no split 'Train'"),
        ("split", "../train", "there is no split '../train'"),
    ],
    "missing-value": [("split", "", "split is empty"), ("processid", "", "processid is empty")],
    "bad-processid": [
        ("processid", "../../etc/passwd", "cannot be the name of a file"),
        ("processid", "a/b", "cannot be the name of a file"),
        ("processid", "a\\b", "cannot be the name of a file"),
        ("processid", ".", "cannot be the name of a file"),
        ("processid", "..", "cannot be the name of a file"),
        ("processid", "a.b", "cannot be the name of a file"),
        ("processid", "__a", "cannot be the name of a file"),
        ("processid", "a\x1bb", "cannot be the name of a file"),
        ("processid", "a\nb", "cannot be the name of a file"),
        ("processid", "蝶" * 31, "cannot be the name of a file"),
    ],
}
CASES = [(reason, *case) for reason, cases in BAD.items() for case in cases]


@forms
@pytest.mark.parametrize(("reason", "column", "value", "told"), CASES)
def test_a_bad_value_is_an_error_or_is_left_out(  # one for each column that has a type
    form: Form, reason: str, column: str, value: str, told: str, tmp_path: Path
) -> None:
    rows = [plain(1), plain(2, taxon="a\nb"), plain(3, **{column: value}), plain(4), plain(5)]
    data = WRITERS[form](rows)
    row = FIRST[form] + 2
    message = error_of(tmp_path / "a", data, form)
    assert f"a: row {row}" in message
    assert told in message
    assert len(message) < 500
    found, [bad] = read(tmp_path / "a", data, form, record=True)
    assert [r["row"] for r in found] == [row - 2, row - 1, row + 1, row + 2]
    assert (bad.row, bad.reason) == (row, reason)
    assert told in bad.detail
    assert bad.processid == (rows[2]["processid"] or None)
    assert bad.split == (rows[2]["split"] or None)


@forms
def test_row_numbers_are_exact_among_thousands(form: Form, tmp_path: Path) -> None:
    choose = random.Random(11)
    # Rows of some 3 kB, so that they take several blocks of the csv reader.
    rows = [plain(n, dna_barcode="ACGT" * 750, taxon="a\nb" * (n % 2)) for n in range(5000)]
    bad = sorted(choose.sample(range(5000), 60))
    for number in bad[::2]:
        rows[number]["coord-lat"] = "x"
    data = WRITERS[form](rows)
    if form == "csv":
        lines = data.split(b"\nP")
        for number in bad[1::2]:
            lines[number + 1] += b",surplus"
        data = b"\nP".join(lines)
    else:
        for number in bad[1::2]:
            data = data.replace(b'"processid": "P%d-23",' % number, b'"other": "P%d-23",' % number)
    found, told = read(tmp_path / "a", data, form, record=True)
    first = FIRST[form]
    assert sorted(b.row - first for b in told) == bad
    assert {b.reason for b in told} == {"unparsable-value", "broken-row"}
    assert [(r["row"] - first, r["processid"]) for r in found] == [
        (n, f"P{n}-23") for n in range(5000) if n not in set(bad)
    ]
    if form == "csv":
        stopped = re.match(r"a: row (\d+)", error_of(tmp_path / "a", data, form))
        assert stopped
        assert int(stopped[1]) - first in bad


def test_bad_rows_are_told_in_an_order_that_does_not_depend_on_threads(tmp_path: Path) -> None:
    bad_value = plain(3, coord_lat="north")
    # In another block than the broken row, which is told while the value is not looked at yet.
    rows = [plain(1), bad_value, *(plain(n, dna_barcode="A" * 600) for n in range(4, 10_000))]
    data = as_csv(rows) + b"P2-23,broken\n"
    told = [in_file_order(read(tmp_path / "m", data, "csv", record=True)[1]) for _ in range(5)]
    assert {tuple((bad.row, bad.reason) for bad in found) for found in told} == {
        ((3, "unparsable-value"), (len(rows) + 2, "broken-row"))
    }


@forms
def test_every_row_bad_leaves_none(form: Form, tmp_path: Path) -> None:
    rows, bad = read(
        tmp_path / "a", WRITERS[form]([plain(n, split="x") for n in range(9)]), form, record=True
    )
    assert not rows
    assert [b.row for b in bad] == [*range(FIRST[form], FIRST[form] + 9)]


GOOD = as_csv([plain(n, taxon=f"t{n}") for n in range(4)])
HEADER = GOOD.split(b"\n")[0]
BROKEN = {
    "empty": (b"", "Empty CSV file"),
    "white": (b"\n\n\n", "cannot be read as csv"),
    "not UTF-8": (GOOD.replace(b"t2", b"t\xff2"), "is not UTF-8 text"),
    "a header that is not UTF-8": (GOOD.replace(b"taxon", b"tax\xffn"), "is not UTF-8 text"),
    "a byte that no encoding has here": (GOOD + b"\x00\xff", "is not UTF-8 text; download"),
    "cp1252": (GOOD.decode().replace("t2", "Québec").encode("cp1252"), "it looks like cp1252"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not UTF-8 text but UTF-16"),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), "encoding='utf-16-le'"),
    "UTF-16 the other way": (
        GOOD.decode().replace("t2", "Québec").encode("utf-16-be"),
        "not UTF-8 text but UTF-16; save it as UTF-8 (pandas reads it with encoding='utf-16-be')",
    ),
    "UTF-16 with other letters": (
        GOOD.decode().replace("t2", "Québec").encode("utf-16-le"),
        "not UTF-8 text but UTF-16",
    ),
    "UTF-32": (GOOD.decode().encode("utf-32"), "not UTF-8 text but UTF-32"),
    "a page of HTML": (b"<html><body>Quota exceeded</body></html>\n<p>", "lacks 'processid'"),
    "tabs": (GOOD.replace(b",", b"\t"), "separated by tabs ('\\t'), not by commas"),
    "semicolons": (GOOD.replace(b",", b";"), "separated by semicolons (';'), not by commas"),
    "thirty thousand columns": (b"a," * 30_000 + GOOD, "the unknown 'a' and it repeats 'a'"),
    "no names": (b"," * 30_000 + GOOD, "the unknown '' and it repeats ''"),
    "no header": (GOOD.split(b"\n", 1)[1], "lacks 'processid'"),
    "a column less": (GOOD.replace(b"taxon,", b"", 1), "lacks 'taxon'"),
    "a column more": (GOOD.replace(b"taxon,", b"taxon,colour,", 1), "the unknown 'colour'"),
    "a column twice": (GOOD.replace(b"taxon,", b"taxon,taxon,", 1), "repeats 'taxon'"),
    "a quote not closed": (GOOD.replace(b"t2", b'"t2'), "a quote is never closed"),
    "a quote not closed at the end": (GOOD[:-1] + b'"2e\n' + GOOD[200:], "never closed"),
    "a very long field": (as_csv([plain(1, taxon="x" * 9_000_000)]), "more than 4,194,304 bytes"),
    "a very long quoted field": (GOOD + b'"' + b"x,\n" * 3_000_000, "more than 4,194,304 bytes"),
    "a very long header": (b"a," * 5_000_000 + GOOD, "cannot be read as csv"),
}


@pytest.mark.parametrize("record", [False, True])
@pytest.mark.parametrize(("data", "told"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_is_no_csv(data: bytes, told: str, record: bool, tmp_path: Path) -> None:
    message = error_of(tmp_path / "a.csv", data, "csv", record=record)
    assert message.startswith("a.csv: ")
    assert told in message or not record
    assert "Traceback" not in message
    assert len(message) < 2000


def test_a_csv_cut_off_is_noticed_unless_it_ends_with_a_row(tmp_path: Path) -> None:
    rows = [plain(n, taxon=f"a,{n}") for n in range(3)]
    data = as_csv(rows)
    ends = [i for i, byte in enumerate(data) if byte == ord("\n")]
    whole = {e for end in ends for e in (end, end + 1)}
    # Within the last field a cut cannot be seen in a csv: its value is shorter then.
    whole |= {end - k for end in ends[1:] for k in (1, 2)}
    for length in sorted(set(range(len(data))) - whole):
        assert error_of(tmp_path / "a.csv", data[:length], "csv")


def test_no_member_of_a_damaged_zip_is_believed(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.csv", as_csv([plain(n, taxon=f"t{n}") for n in range(500)]))
    data = file.getvalue()
    path = tmp_path / "metadata.zip"
    choose = random.Random(7)
    wanted = expected([plain(n, taxon=f"t{n}") for n in range(500)], first=2)
    refused = 0
    for _ in range(200):
        raw = bytearray(data)
        raw[choose.randrange(len(raw))] ^= 1 << choose.randrange(8)
        path.write_bytes(raw)
        try:
            batches = list(read_metadata(MetadataFile(path, "csv", "m.csv")))
        except BioscanError as error:
            assert isinstance(error, MetadataError)
            refused += 1
        else:
            assert pa.Table.from_batches(batches).to_pylist() == wanted
    assert refused > 150


def test_an_encrypted_or_odd_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metadata.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.csv", GOOD)
    data = path.read_bytes()
    directory = data.index(b"PK\x01\x02")
    for place, value, told in ((6, 1, "password"), (8, 97, "compression")):
        raw = bytearray(data)
        raw[place] = raw[directory + place + 2] = value
        path.write_bytes(raw)
        with pytest.raises(MetadataError, match=told):
            list(read_metadata(MetadataFile(path, "csv", "m.csv")))
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(MetadataError, match="not a zip"):
        list(read_metadata(MetadataFile(path, "csv", "m.csv")))
    with pytest.raises(MetadataError, match="cannot be read"):
        list(read_metadata(MetadataFile(tmp_path / "nowhere.csv", "csv")))


def test_splits_are_those_that_are_declared(tmp_path: Path) -> None:
    rows = [plain(n, split=split.name) for n, split in enumerate(SPLITS)]
    assert len(read(tmp_path / "a.csv", as_csv(rows), "csv")[0]) == len(SPLITS)


@forms
@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"split": "pretrain", "chunk": "7"}, "the chunk is '7', and md5(processid) begins with"),
        ({"split": "train", "chunk": ""}, "the chunk is '', and md5(processid) begins with"),
        ({"split": "val", "chunk": "a"}, "md5(processid) names no folder in this split"),
        ({"scale_factor": "-0.5"}, "scale_factor is below 0: '-0.5'"),
        ({"area_fraction": "-0.5"}, "area_fraction is below 0: '-0.5'"),
        ({"image_measurement_value": "-1"}, "image_measurement_value is below 0: '-1'"),
        ({"index_bioscan_1M_insect": "-1.0"}, "index_bioscan_1M_insect is below 0: '-1.0'"),
        ({"coord_lat": "90.5"}, "coord-lat is not between -90 and 90 degrees: '90.5'"),
        ({"coord_lon": "-181"}, "coord-lon is not between -180 and 180 degrees: '-181'"),
    ],
)
def test_what_can_be_proved_is_proved(
    form: Form, values: dict[str, str], told: str, tmp_path: Path
) -> None:
    rows = [plain(1), plain(2, **values), plain(3)]
    assert told in error_of(tmp_path / "a", WRITERS[form](rows), form)
    found, [bad] = read(tmp_path / "a", WRITERS[form](rows), form, record=True)
    assert [row["processid"] for row in found] == ["P1-23", "P3-23"]
    assert told in bad.detail


@forms
def test_real_records_prove_true(form: Form, real: Path) -> None:
    [path] = real.glob(f"*metadata.{form}")
    notes: list[str] = []
    batches = read_metadata(MetadataFile(path, form), on_note=notes.append)
    assert sum(batch.num_rows for batch in batches) == 8
    assert not notes


@forms
@pytest.mark.parametrize("names", [[""], ["Unnamed: 0"], ["", "Unnamed: 0.1"], ["index"]])
def test_an_index_of_pandas_is_dropped_with_a_note(
    form: Form, names: list[str], tmp_path: Path
) -> None:
    rows = [plain(1, taxon="a"), plain(2), plain(3, coord_lat="7")]
    indexed = [
        {name: "text" if n else str(n) for name in names} | row for n, row in enumerate(rows)
    ]
    if form == "csv":
        file = io.StringIO()
        writer = csv.DictWriter(file, list(indexed[0]))
        writer.writeheader()
        writer.writerows(indexed)
        data = file.getvalue().encode()
    else:
        data = as_jsonld(indexed)
    notes: list[str] = []
    found, _ = read(tmp_path / "a", data, form, on_note=notes.append)
    assert found == expected(rows, first=FIRST[form])
    [note] = notes
    assert "is an index of pandas, and is not read" in note
    assert all(repr(name) in note for name in names)


@forms
def test_a_taxon_that_is_not_its_most_specific_label_is_told(form: Form, tmp_path: Path) -> None:
    labels = {"order": "Diptera", "family": "Sciaridae"}
    rows = [
        plain(1, taxon="Sciaridae", **labels),
        plain(2, taxon="Bradysia", **labels, subfamily="unassigned Sciaridae", genus="Bradysia"),
        plain(3, taxon="Sciaridae", **labels, subfamily="unassigned Sciaridae"),
        plain(4, **labels),
        plain(5, taxon="no label"),
        plain(6, taxon="Apidae", **labels),
        plain(7, taxon="Diptera", **labels),
    ]
    notes: list[str] = []
    found, _ = read(tmp_path / "a", WRITERS[form](rows), form, on_note=notes.append)
    assert found == expected(rows, first=FIRST[form])
    [note] = notes
    row = FIRST[form] + 5
    assert note.startswith("a: the taxon of 2 records is not the most specific of the labels")
    assert note.endswith(f"row {row} (P6-23): 'Apidae', labelled 'Sciaridae'")


def test_metadata_that_are_no_file_are_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "BIOSCAN_5M_Insect_Dataset_metadata.csv"
    os.mkfifo(path)
    with pytest.raises(MetadataError, match="no regular file"):
        list(read_metadata(MetadataFile(path, "csv")))
