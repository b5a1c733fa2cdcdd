"""The main job, through the command line, against an independent reader."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf.schema.columns import arrow_schema, column_names
from bioscan5m_hf.schema.configurations import package_names
from conversion.shards.read import read_shard
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests import inline
from tests.conftest import Run, make_once
from tests.independent import read_release


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_equal_to_release(folder: Path, release: Path, package: str) -> None:
    expected = read_release(release, package)
    files = sorted((folder / package).glob("*-of-*"))
    assert {path.name.split("-")[0] for path in files} == set(expected)
    for split, specimens in expected.items():
        rows: list[dict[str, object]] = []
        for path in sorted((folder / package).glob(f"{split}-*-of-*")):
            for batch in read_shard(path, ["image", *column_names()]):
                rows += batch.to_pylist()
        assert [row["processid"] for row in rows] == [s.row["processid"] for s in specimens]
        for row, specimen in zip(rows, specimens, strict=True):
            image = row.pop("image")
            assert image == {
                "bytes": specimen.image,
                "path": f"{specimen.row['processid']}.jpg",
            }
            assert list(row) == list(specimen.row)
            assert row == specimen.row


def test_every_value_and_image_of_every_package_arrives(converted: Path, release: Path) -> None:
    for package in package_names():
        assert_equal_to_release(converted, release, package)


LAID_OUT = ("original_full", "cropped_256")


def laid_out(root: Path, specimens: int, layout: str, names: str) -> Path:
    """A release of one layout, and the dataset folder that it becomes."""
    options = SampleOptions(
        root / "release",
        specimens,
        seed=4,
        packages=LAID_OUT,
        layout=layout,  # type: ignore[arg-type]
        names=names,  # type: ignore[arg-type]
        distinct=6,
        workers=1,
        # Many of the real size would only be many bytes.
        tiny=specimens > 200,
    )
    write_sample(options)
    inline.call("convert", root / "release", "--output", root / "out", "--quiet")
    return root


@pytest.mark.parametrize("layout", ["full", "parts", "folder"])
@pytest.mark.parametrize("names", ["hub", "seed"])
def test_every_layout_gives_the_same_dataset(
    layout: str, names: str, shared: Path, tmp_path: Path
) -> None:
    specimens = 2000 if (layout, names) == ("full", "seed") else 120
    groups = make_once(
        shared / f"groups-{specimens}", lambda root: laid_out(root, specimens, "groups", "hub")
    )
    other = laid_out(tmp_path, specimens, layout, names)
    for package in LAID_OUT:
        assert_equal_to_release(other / "out", other / "release", package)
    first, second = digests(groups / "out"), digests(other / "out")
    del first["manifest.json"], second["manifest.json"]
    assert first == second
    manifests = [
        json.loads((root / "out" / "manifest.json").read_text()) for root in (groups, other)
    ]
    for manifest in manifests:
        del manifest["source"], manifest["digest"]
    assert manifests[0] == manifests[1]


def test_jsonld_and_the_metadata_zip_give_the_same_rows(tmp_path: Path, call: Run) -> None:
    found = []
    for form in ("csv", "jsonld", "zip"):
        write_sample(
            SampleOptions(
                tmp_path / form,
                200,
                packages=("cropped_256",),
                metadata=(form,),
                distinct=4,
                workers=1,
            )
        )
        call("convert", tmp_path / form, "--output", tmp_path / f"out-{form}", "--quiet")
        assert not list((tmp_path / form).rglob("bioscan5m")), "the zip was unpacked"
        found.append(digests(tmp_path / f"out-{form}"))
        del found[-1]["manifest.json"]
    assert found[0] == found[1] == found[2]


def test_workers_do_not_change_a_byte(small_release: Path, tmp_path: Path, run: Run) -> None:
    for form, times in (("parquet", ("2", "2", "1")), ("arrow", "21"), ("webdataset", "21")):
        found = []
        for number, workers in enumerate(times):
            output = tmp_path / f"{form}-{number}"
            run(
                *("convert", small_release, "--output", output, "--package", "cropped_256"),
                *("--workers", workers, "--shard-size", "200kB", "--format", form, "--quiet"),
            )
            found.append(digests(output))
        assert all(other == found[0] for other in found[1:])
        assert len(found[0]) > 12


def test_parquet_is_as_the_hub_wants_it(converted: Path) -> None:
    path = next((converted / "cropped_256").glob("pretrain-00000-*.parquet"))
    with pq.ParquetFile(path) as file:
        assert file.schema_arrow.equals(arrow_schema(image=True), check_metadata=True)
        group = file.metadata.row_group(0)
        columns = {
            group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)
        }
        image = columns["image.bytes"]
        assert image.compression == "UNCOMPRESSED"
        assert image.dictionary_page_offset is None
        assert image.has_offset_index
        assert columns["dna_barcode"].compression == "ZSTD"
        assert columns["order"].has_dictionary_page
        assert columns["order"].statistics.has_min_max
        assert group.total_byte_size < 8_000_000


def test_a_package_and_splits_can_be_added_later(release: Path, tmp_path: Path, call: Run) -> None:
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    convert = ("convert", release, "--output", parts, "--quiet")
    call(*convert, "--package", "cropped_256", "--split", "validation", "--split", "train")
    card = (parts / "README.md").read_text()
    assert "cropped_256_pretrain" not in card
    assert "split: validation" in card
    before = digests(parts)
    call(*convert, "--package", "cropped_256")
    after = digests(parts)
    assert {path: after[path] for path in before if "-of-" in path}.items() <= after.items()
    call(*convert, "--package", "original_256")
    call(
        *("convert", release, "--output", whole, "--package", "original_256"),
        *("--package", "cropped_256", "--quiet"),
    )
    assert digests(parts) == digests(whole)


def test_a_second_run_has_nothing_to_do(small_release: Path, tmp_path: Path, call: Run) -> None:
    convert = ("convert", small_release, "--output", tmp_path / "out", "--package", "cropped_256")
    call(*convert)
    before = digests(tmp_path / "out")
    again = call(*convert)
    assert "0 shards made" in again.stdout
    assert digests(tmp_path / "out") == before


def test_one_folder_holds_one_format(release: Path, tmp_path: Path, call: Run) -> None:
    output = tmp_path / "bioscan-5m"
    convert = ("convert", release, "--output", output, "--split", "val", "--quiet")
    call(*convert)
    for form, ending in (("webdataset", "wds"), ("arrow", "arrow")):
        refused = call(*convert, "--format", form, status=1)
        assert f"--output {output}-{ending}" in refused.stderr


def test_full_zip_and_groups_side_by_side_are_the_same_images(tmp_path: Path, call: Run) -> None:
    root = tmp_path / "release"
    options = {"seed": 5, "packages": ("cropped_256",), "distinct": 4, "workers": 1}
    write_sample(SampleOptions(root, 100, **options))  # type: ignore[arg-type]
    write_sample(SampleOptions(tmp_path / "full", 100, layout="full", **options))  # type: ignore[arg-type]
    shutil.copy(tmp_path / "full" / "BIOSCAN_5M_cropped_256.zip", root)
    done = call("convert", root, "--output", tmp_path / "out")
    assert "are read from the group" in done.stderr
    assert_equal_to_release(tmp_path / "out", root, "cropped_256")


def test_the_real_records_arrive(real: Path, tmp_path: Path, call: Run) -> None:
    photographs = sorted((real / "images").glob("cropped_*.jpg"))
    for form in ("csv", "jsonld"):
        root = tmp_path / form
        root.mkdir()
        name = f"BIOSCAN_5M_Insect_Dataset_metadata.{form}"
        shutil.copy(real / name, root)
        rows = read_release(root, None)
        for partition in ("pretrain", "train"):
            with zipfile.ZipFile(root / f"BIOSCAN_5M_cropped_256_{partition}.zip", "w") as archive:
                for number, specimen in enumerate(rows[partition]):
                    chunk, processid = specimen.row["chunk"], specimen.row["processid"]
                    archive.write(
                        photographs[number % len(photographs)],
                        f"bioscan5m/images/cropped_256/{partition}/{chunk}/{processid}.jpg",
                    )
        call("inspect", root)
        call("convert", root, "--output", tmp_path / f"out-{form}")
        assert_equal_to_release(tmp_path / f"out-{form}", root, "cropped_256")
    table = pq.read_table(tmp_path / "out-csv" / "metadata")
    assert table.num_rows == 8
    assert table.schema.field("index_bioscan_1M_insect").type == pa.int64()
