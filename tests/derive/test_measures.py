"""What the metadata say of a box is what its coordinates make."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from bioscan5m_hf.errors import MetadataError
from bioscan5m_hf.release.layout import MetadataFile
from bioscan5m_hf.release.metadata.read import read_metadata
from conversion.derive.measures import MeasureCheck
from tests.conftest import Run

CSV = "BIOSCAN_5M_Insect_Dataset_metadata.csv"
BBOX = "BIOSCAN_5M_Insect_bbox.tsv"


@pytest.fixture
def folder(real: Path, tmp_path: Path) -> Path:
    for name in (CSV, BBOX):
        shutil.copy(real / name, tmp_path / name)
        (tmp_path / name).chmod(0o644)
    return tmp_path


def findings(folder: Path) -> list[tuple[str | None, str]]:
    check = MeasureCheck(folder / BBOX)
    batches = list(check.watch(read_metadata(MetadataFile(folder / CSV, "csv"))))
    assert pa.Table.from_batches(batches).num_rows == 8
    return [(found.processid, found.detail) for found in check.findings(CSV)]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_real_records_agree_with_their_boxes(folder: Path) -> None:
    assert findings(folder) == []


def test_a_value_that_its_box_does_not_make_is_found(folder: Path) -> None:
    replace(folder / CSV, ",0.0703,0.7578,", ",0.0704,0.7578,")
    replace(folder / CSV, ",0.074,0.8945,", ",0.74,1.8945,")
    # No value, no box, and a box that reaches past the border: nothing to compare with.
    replace(folder / CSV, ",0.1703,1.3516,", ",,,")
    replace(folder / BBOX, "PERMM4048-23\t", "OTHER-23\t")
    replace(folder / BBOX, "1024\t768\t562\t", "1024\t768\t-562\t")
    assert findings(folder) == [
        ("CRCBB46471-23", "row 2: area_fraction is 0.0704, and its box makes 0.0703"),
        (
            "LPKIL3701-22",
            "row 5: area_fraction is 0.74, and its box makes 0.0740, "
            "scale_factor is 1.8945, and its box makes 0.8945",
        ),
    ]


@pytest.mark.parametrize("text", ["", "processid\nA-1\n", "no table"])
def test_boxes_that_cannot_be_read_are_told(text: str, folder: Path) -> None:
    (folder / BBOX).write_text(text)
    with pytest.raises(MetadataError, match=re.escape(f"{BBOX}: its columns are")):
        findings(folder)


def test_inspect_tells_of_them(small_release: Path, tmp_path: Path, call: Run) -> None:
    root = Path(shutil.copytree(small_release, tmp_path / "release"))
    assert "Everything fits" in call("inspect", root).stdout
    path = next(root.rglob(BBOX))
    head, first, *others = path.read_text().splitlines()
    values = first.split("\t")
    values[5] = str(int(values[5]) - 1)
    path.write_text("\n".join([head, "\t".join(values), *others, ""]))
    told = call("inspect", root, status=1).stdout
    assert "1 contradicts-box" in told
    assert values[0] in told
