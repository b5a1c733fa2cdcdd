import hashlib
import json
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.schema.columns import RANKS, SPLITS, column_names, split_named
from bioscan5m_hf.schema.upstream import METADATA_STEM as STEM
from bioscan5m_hf.schema.upstream import METADATA_ZIP
from conversion.derive.bbox import BBOX_COLUMNS
from conversion.synthetic.vocabulary import AWKWARD_PLACES

Rows = list[dict[str, str]]


def _species(rows: Rows, *splits: str) -> set[str]:
    return {row["species"] for row in rows if row["split"] in splits}


def test_columns_are_upstreams(rows: Rows) -> None:
    assert list(rows[0]) == column_names()
    assert len(rows) == 2_000
    assert len({row["processid"] for row in rows}) == 2_000


def test_boxes_agree_with_the_metadata(
    tiny: Path, rows: Rows, boxes_of: Callable[[Path], Rows]
) -> None:
    boxes = boxes_of(tiny)
    assert tuple(boxes[0]) == BBOX_COLUMNS
    for row, line in zip(rows, boxes, strict=True):
        left, top, right, bottom = (int(line[name]) for name in ("x0", "y0", "x1", "y1"))
        area = (right - left) * (bottom - top)
        original = int(line["width_original"]) * int(line["height_original"])
        shorter = min(right - left, bottom - top)
        assert line["processid"] == row["processid"]
        assert row["area_fraction"] == line["area_fraction"] == str(round(area / original, 4))
        assert row["scale_factor"] == line["scale_factor"] == str(round(shorter / 256, 4))


def test_chunks_follow_md5(rows: Rows) -> None:
    for row in rows:
        digest = hashlib.md5(row["processid"].encode()).hexdigest()
        assert row["chunk"] == digest[: split_named(row["split"]).chunk_digits]


def test_all_splits_are_there_in_mixed_order(rows: Rows) -> None:
    assert {row["split"] for row in rows} == {split.name for split in SPLITS}
    assert len({row["split"] for row in rows[:100]}) > 4


def test_seen_and_unseen_species(rows: Rows) -> None:
    seen, unseen = _species(rows, "train"), _species(rows, "key_unseen")
    assert _species(rows, "val", "test") <= seen
    assert _species(rows, "val_unseen", "test_unseen") <= unseen
    assert not seen & unseen
    assert "" not in seen | unseen
    heldout = _species(rows, "other_heldout")
    assert not heldout & (seen | unseen)
    assert any(re.search(r" sp\. \d+BR$", name) for name in heldout)


def test_pretrain_has_no_species_and_seldom_a_genus(rows: Rows) -> None:
    pretrain = [row for row in rows if row["split"] == "pretrain"]
    assert {row["species"] for row in pretrain} == {""}
    without_genus = sum(not row["genus"] for row in pretrain)
    assert 0.5 < without_genus / len(pretrain) < 0.95


def test_a_missing_label_has_none_below(rows: Rows) -> None:
    ranks = [rank for rank in RANKS if rank != "dna_bin"]
    for row in rows:
        labels = [row[rank] for rank in ranks]
        known = [label for label in labels if label]
        assert labels == known + [""] * (len(labels) - len(known))
        assert row["taxon"] == known[-1]


def test_values_are_missing_as_upstream(rows: Rows) -> None:
    missing = Counter(name for row in rows for name, value in row.items() if not value)
    sometimes = {"dna_bin", "province_state", "coord-lat", "coord-lon", "image_measurement_value"}
    assert all(0 < missing[name] < 600 for name in sometimes)
    assert 1_000 < missing["index_bioscan_1M_insect"] < 2_000
    never = {"processid", "sampleid", "taxon", "phylum", "dna_barcode", "area_fraction", "split"}
    assert not never & set(missing)
    for row in rows:
        assert re.fullmatch(r"(\d+\.0)?", row["index_bioscan_1M_insect"])
        assert re.fullmatch(r"\d*", row["image_measurement_value"])
        assert re.fullmatch(r"\d", row["inferred_ranks"])


def test_awkward_text_is_there(rows: Rows) -> None:
    places = {(row["country"], row["province_state"]) for row in rows}
    for place in AWKWARD_PLACES:
        assert (place.country, place.provinces[0]) in places


def test_barcodes(rows: Rows) -> None:
    lengths = [len(row["dna_barcode"]) for row in rows]
    assert 600 < sum(lengths) / len(lengths) < 700
    assert max(lengths) > 700
    assert set("".join(row["dna_barcode"] for row in rows)) > set("ACGTN")
    # Specimens of a lineage share barcodes or nearly do; upstream has 2.5 million for 5.2.
    assert 0.4 < len({row["dna_barcode"] for row in rows}) / len(rows) < 0.8


def test_sampleids_are_wells_of_plates(rows: Rows) -> None:
    ids = [row["sampleid"] for row in rows]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"BIOUG\d{5}-[A-H](0\d|1[0-2])", one) for one in ids)


def test_csv_is_what_pandas_would_write(tiny: Path, rows: Rows) -> None:
    frame = pa.Table.from_pylist(rows).to_pandas()
    written = (tiny / f"{STEM}.csv").read_text(encoding="utf-8")
    assert written == frame.to_csv(index=False, lineterminator="\n")


def test_jsonld_is_what_json_would_write(tiny: Path, rows: Rows) -> None:
    text = (tiny / f"{STEM}.jsonld").read_text(encoding="utf-8")
    assert json.loads(text) == rows
    assert text == json.dumps(rows, indent=4)


@pytest.mark.parametrize("kind", ["csv", "jsonld"])
def test_the_zip_holds_the_same_files(tiny: Path, kind: str) -> None:
    with zipfile.ZipFile(tiny / METADATA_ZIP) as archive:
        assert archive.testzip() is None
        member = archive.read(f"bioscan5m/metadata/{kind}/{STEM}.{kind}")
    assert member == (tiny / f"{STEM}.{kind}").read_bytes()
