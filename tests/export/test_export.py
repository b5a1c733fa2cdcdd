"""Exports hold what the release holds, read back with the tools that they are made for."""

from __future__ import annotations

import csv
import io
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bioscan5m_hf import labels, load_dataset
from bioscan5m_hf.errors import OutputError, UnknownName
from bioscan5m_hf.sources.resolve import open_data
from conversion.export.base import ExportOptions, ExportResult, Specimens, Target
from conversion.export.clibd import GROUPS, PUBLISHED_WIDTH
from conversion.export.export import TARGETS, export
from conversion.export.imagefolder import folder_name
from tests.conftest import Run
from tests.independent import read_release

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def rows(small_release: Path) -> dict[str, Rows]:
    """The rows of each split, in the order of md5(processid)."""
    found: dict[str, Rows] = {}
    for specimens in read_release(small_release, "cropped_256").values():
        for specimen in specimens:
            row: dict[str, Any] = {**specimen.row, "image": specimen.image}
            found.setdefault(row["split"], []).append(row)
    return found


def read_fasta(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for record in path.read_text("utf-8").split(">")[1:]:
        head, *lines = record.splitlines()
        found[head.split()[0]] = "".join(lines)
    return found


@pytest.mark.parametrize("kind", ["parquet", "arrow", "webdataset", "zips", "unpacked"])
def test_fasta_of_every_kind_of_source(
    kind: str, forms: Path, rows: dict[str, Rows], tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "train.fasta"
    call("export", forms / kind, "--to", "fasta", "--split", "train", "--output", output)
    expected = {row["processid"]: row["dna_barcode"] for row in rows["train"] if row["dna_barcode"]}
    assert list(read_fasta(output).items()) == list(expected.items())


def test_fasta_describes_a_specimen(
    forms: Path, rows: dict[str, Rows], tmp_path: Path, call: Run
) -> None:
    call("export", forms / "parquet", "--to", "fasta", "--limit", "1", "--output", tmp_path / "x")
    head = (tmp_path / "x").read_text("utf-8").splitlines()[0]
    row = rows["pretrain"][0]
    named = {name: row[name] for name in ("dna_bin", "order", "family", "genus", "species")}
    told = ";".join(f"{name}={value}" for name, value in named.items() if value)
    assert head == f">{row['processid']} {told}"


def test_barcodebert(forms: Path, rows: dict[str, Rows], tmp_path: Path, call: Run) -> None:
    call("export", forms / "parquet", "--to", "barcodebert", "--output", tmp_path / "csv")
    species = labels(forms / "parquet", "species")
    assert {path.stem for path in (tmp_path / "csv").iterdir()} == set(rows)
    for split, expected in rows.items():
        with (tmp_path / "csv" / f"{split}.csv").open(newline="", encoding="utf-8") as file:
            found = list(csv.DictReader(file))
        assert [row["processid"] for row in found] == [row["processid"] for row in expected]
        for got, row in zip(found, expected, strict=True):
            assert got["nucleotides"] == row["dna_barcode"]
            assert got["order_name"] == (row["order"] or "")
            assert got["bin_uri"] == (row["dna_bin"] or "")
            index = species.index(row["species"])
            assert int(got["species_index"]) == (-1 if index is None else index)


def test_imagefolder_is_read_by_datasets(
    forms: Path, rows: dict[str, Rows], tmp_path: Path, call: Run
) -> None:
    import datasets

    output = tmp_path / "flies"
    call(
        "export", forms / "arrow", "--to", "imagefolder", "--rank", "family", "--split", "pretrain",
        "--where", "order = Diptera", "--output", output,
    )  # fmt: skip
    wanted = [row for row in rows["pretrain"] if row["order"] == "Diptera" and row["family"]]
    assert wanted
    files = {
        path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*.jpg")
    }
    assert files == {f"{row['family']}/{row['processid']}.jpg": row["image"] for row in wanted}
    found = datasets.load_dataset("imagefolder", data_dir=str(output), split="train")
    assert len(found) == len(wanted)
    assert set(found.features["label"].names) == {row["family"] for row in wanted}


@pytest.mark.parametrize("taxon", ["..", ".", "a/b", "a\\b", "x\0", "Ä b (c) 'd'"])
def test_no_taxon_leaves_its_folder(taxon: str, tmp_path: Path) -> None:
    made = tmp_path / folder_name(taxon)
    made.mkdir()
    assert made.resolve().parent == tmp_path


def test_clibd(forms: Path, rows: dict[str, Rows], tmp_path: Path, call: Run) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    output = tmp_path / "bioscan.hdf5"
    call("export", forms / "parquet", "--to", "clibd", "--output", output)
    with h5py.File(output) as file:
        assert set(file) == {n for n, splits in GROUPS.items() if any(s in rows for s in splits)}
        for name, group in file.items():
            expected = [row for split in GROUPS[name] for row in rows.get(split, [])]
            assert group["image"].shape == (len(expected), PUBLISHED_WIDTH)
            for number, row in enumerate(expected):
                length = int(group["image_mask"][number])
                image = group["image"][number]
                assert image[:length].tobytes() == row["image"]
                assert not image[length:].any()
                Image.open(io.BytesIO(image.tobytes())).load()
            for column in ("order", "family", "genus", "species"):
                told = [(row[column] or "not_classified").encode() for row in expected]
                assert group[column][:].tolist() == told
            assert group["barcode"][:].tolist() == [r["dna_barcode"].encode() for r in expected]
            files = [f"{row['processid']}.jpg".encode() for row in expected]
            assert group["image_file"][:].tolist() == files


@pytest.mark.parametrize("limit", [0, 5_000, 100_000])
def test_clibd_on_a_full_disk(limit: int, forms: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.h5"
    words = ["export", str(forms / "parquet"), "--to", "clibd", "--output", str(output), "-q"]
    # In a process of its own, which HDF5 would end with a segmentation fault.
    done = subprocess.run(
        [sys.executable, "-B", "-m", "conversion", *words],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == f"bioscan5m: error: {output}: cannot be written (File too large)"
    assert not [*tmp_path.iterdir()]


def test_clibd_widens_for_a_longer_image(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    import pyarrow as pa

    from conversion.export.clibd import _COLUMNS, _Group

    images = [b"\xff" * 10, b"\xfe" * (PUBLISHED_WIDTH + 7)]
    plain = {name: ["x", None] for name in _COLUMNS[1:]}
    table = pa.table({"image": [{"bytes": data, "path": ""} for data in images], **plain})
    with h5py.File(tmp_path / "x", "w") as file:
        group = _Group(file.create_group("x"))
        group.append(table.slice(0, 1))
        group.append(table.slice(1, 1))
        stored = file["x"]["image"][:]
        assert [bytes(row).rstrip(b"\0") for row in stored.astype(np.uint8)] == images
        assert file["x"]["species"][:].tolist() == [b"x", b"not_classified"]


class _Failing(Target):
    name = "failing"
    meaning = ""
    folder = True

    def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
        del specimens, options
        part.mkdir()
        (part / "half").write_bytes(b"x")
        raise KeyboardInterrupt


def test_nothing_stays_of_an_export_that_was_interrupted(forms: Path, tmp_path: Path) -> None:
    data = open_data(forms / "parquet")
    with pytest.raises(KeyboardInterrupt):
        export(data, _Failing(), "cropped_256", "all", ExportOptions(tmp_path / "out", ()))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("folder", [True, False])
def test_what_another_export_wrote_meanwhile_stays(
    folder: bool, forms: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"

    class Slow(Target):
        name = "slow"

        def write(self, specimens: Specimens, options: ExportOptions, part: Path) -> ExportResult:
            del specimens
            for path in (options.output, part):
                if folder:
                    path.mkdir()
                else:
                    path.write_text(path.parent.name)
            return ExportResult()

    with pytest.raises(OutputError, match="there already"):
        export(open_data(forms / "parquet"), Slow(), "", "all", ExportOptions(output, ()))
    assert [*tmp_path.iterdir()] == [output]
    assert folder or output.read_text() == tmp_path.name


KILLED = """
import os, signal, sys
from pathlib import Path
from bioscan5m_hf.sources.resolve import open_data
from conversion.export.base import ExportOptions, Target
from conversion.export.export import export

class Killed(Target):
    name = "killed"

    def write(self, specimens, options, part):
        part.write_bytes(b"much")
        os.kill(os.getpid(), signal.SIGKILL)

export(open_data(sys.argv[1]), Killed(), "", "all", ExportOptions(Path(sys.argv[2]), ()))
"""


def test_what_a_killed_export_left_is_removed_by_the_next(
    forms: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "x"
    words = [sys.executable, "-c", KILLED, str(forms / "parquet"), str(output)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert len([*tmp_path.iterdir()]) == 1
    call("export", forms / "parquet", "--to", "fasta", "--limit", "1", "--output", output)
    assert [*tmp_path.iterdir()] == [output]


def test_what_is_there_stays(forms: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    data = open_data(forms / "parquet")
    for target in TARGETS.values():
        with pytest.raises(OutputError, match="there already"):
            export(data, target(), "cropped_256", "all", ExportOptions(tmp_path / "mine", ()))
    assert (tmp_path / "mine").read_text() == "precious"


def test_wrong_names_are_told(forms: Path, tmp_path: Path, call: Run) -> None:
    common = ("export", forms / "parquet", "--output", tmp_path / "x")
    assert "fasta" in call(*common, "--to", "fsta", status=2).stderr
    wrong = call(*common, "--to", "imagefolder", "--rank", "famly", status=2).stderr
    assert "family" in wrong
    assert "train" in call(*common, "--to", "fasta", "--split", "trian", status=2).stderr
    assert "order" in call(*common, "--to", "fasta", "--where", "ordr = A", status=2).stderr
    assert not (tmp_path / "x").exists()


def test_unknown_package(forms: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="croped_256"):
        export(
            open_data(forms / "parquet"),
            TARGETS["imagefolder"](),
            "croped_256",
            "all",
            ExportOptions(tmp_path / "x", ()),
        )


def test_rows_of_an_export_are_those_of_load_dataset(
    forms: Path, tmp_path: Path, call: Run
) -> None:
    output = tmp_path / "x.fasta"
    where = "coord-lat > 0 and species is not missing"
    call("export", forms / "zips", "--to", "fasta", "--where", where, "--output", output)
    found = load_dataset(
        forms / "zips", "metadata", split="all", streaming=True,
        where=[("coord-lat", ">", 0), ("species", "!=", None)],
    )  # fmt: skip
    assert list(read_fasta(output)) == [row["processid"] for row in found if row["dna_barcode"]]
