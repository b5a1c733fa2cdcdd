from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bioscan5m_hf.errors import ArchiveError, MetadataError, ReleaseNotFound
from bioscan5m_hf.release.find import find_release
from bioscan5m_hf.schema.columns import SPLITS, split_named
from bioscan5m_hf.schema.upstream import METADATA_STEM


def lay_out(root: Path, *names: str) -> Path:
    for name in (*names, f"{METADATA_STEM}.csv"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir()
        else:
            path.touch()
    return root


@pytest.mark.parametrize(
    ("name", "package", "partition", "part"),
    [
        ("BIOSCAN_original.zip", "original_full", None, None),
        ("BIOSCAN_5M_original_full.zip", "original_full", None, None),
        ("BIOSCAN_5M_original_full.03.zip", "original_full", None, 3),
        ("BIOSCAN_cropped.zip", "cropped", None, None),
        ("BIOSCAN_5M_cropped.02.zip", "cropped", None, 2),
        ("BIOSCAN_original_256_train.zip", "original_256", "train", None),
        ("BIOSCAN_5M_original_256.zip", "original_256", None, None),
        ("BIOSCAN_cropped_256.zip", "cropped_256", None, None),
        ("BIOSCAN_5M_cropped_256_eval.zip", "cropped_256", "eval", None),
        ("BIOSCAN_5M_cropped_256_pretrain.01.zip", "cropped_256", "pretrain", 1),
    ],
)
def test_every_name_in_the_wild(
    name: str, package: str, partition: str | None, part: int | None, tmp_path: Path
) -> None:
    (archive,) = find_release(lay_out(tmp_path, name)).archives
    assert (archive.package, archive.group, archive.part) == (package, partition, part)


def test_archives_may_lie_deeper_and_others_are_told(tmp_path: Path) -> None:
    release = find_release(
        lay_out(tmp_path, "zips/cropped/BIOSCAN_5M_cropped.01.zip", "holiday.zip", ".hidden/x.zip")
    )
    assert release.packages == ["cropped"]
    assert release.notes == ("holiday.zip: not read, its name is not one of upstream's",)


@pytest.mark.parametrize("above", ["bioscan5m/images", "images", "a/b/bioscan5m/images"])
def test_an_unpacked_tree(above: str, tmp_path: Path) -> None:
    release = find_release(
        lay_out(tmp_path, f"{above}/cropped_256/val/A1.jpg", f"{above}/original_full/train/0/B.jpg")
    )
    assert release.packages == ["original_full", "cropped_256"]
    assert [folder.split.name for folder in release.select("cropped_256").folders] == ["val"]


def test_only_what_is_asked_for_is_selected(tmp_path: Path) -> None:
    release = find_release(
        lay_out(tmp_path, *(f"BIOSCAN_5M_cropped_256_{p}.zip" for p in ("pretrain", "eval")))
    )
    selection = release.select("cropped_256", [split_named("val")])
    assert [archive.group for archive in selection.archives] == ["eval"]
    assert release.select("cropped_256", SPLITS).splits == {
        split.name for split in SPLITS if split.partition != "train"
    }
    with pytest.raises(ReleaseNotFound, match="no images of cropped_256 for train"):
        release.select("cropped_256", [split_named("train")])


def test_groups_are_preferred_and_zips_to_folders(tmp_path: Path) -> None:
    release = find_release(
        lay_out(
            tmp_path,
            "BIOSCAN_5M_cropped_256.zip",
            "BIOSCAN_5M_cropped_256_eval.zip",
            "bioscan5m/images/cropped_256/val/A.jpg",
        )
    )
    selection = release.select("cropped_256")
    assert [archive.group for archive in selection.archives] == ["eval", None]
    assert not selection.folders
    assert any("are read from the group" in note for note in selection.notes)
    assert any("not the unpacked val" in note for note in selection.notes)


def test_a_part_that_is_not_there_is_told(tmp_path: Path) -> None:
    release = find_release(
        lay_out(tmp_path, "BIOSCAN_5M_cropped.01.zip", "BIOSCAN_5M_cropped.04.zip")
    )
    (note,) = release.select("cropped").notes
    assert note == "BIOSCAN_5M_cropped: part 02, 03 is missing, but part 04 is there"


def test_csv_is_preferred_and_a_loose_file_to_the_zip(tmp_path: Path) -> None:
    lay_out(tmp_path, "BIOSCAN_cropped.zip", f"{METADATA_STEM}.jsonld")
    packed = tmp_path / f"{METADATA_STEM}_MultiTypes.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for form in ("csv", "jsonld"):
            archive.writestr(f"bioscan5m/metadata/{form}/{METADATA_STEM}.{form}", "x")
    found = find_release(tmp_path)
    assert found.metadata.label == f"{METADATA_STEM}.csv"
    assert any("not" in note and "MultiTypes" in note for note in found.notes)
    (tmp_path / f"{METADATA_STEM}.csv").unlink()
    assert find_release(tmp_path).metadata.label.endswith(f"/csv/{METADATA_STEM}.csv")
    packed.unlink()
    assert find_release(tmp_path).metadata.form == "jsonld"


def test_two_different_metadata_files_are_refused(tmp_path: Path) -> None:
    lay_out(tmp_path, "BIOSCAN_cropped.zip", f"old/{METADATA_STEM}.csv")
    for name, text in (("", "one"), ("old/", "two"), ("old/", "another")):
        (tmp_path / name / f"{METADATA_STEM}.csv").write_text(text)
        if name:
            with pytest.raises(MetadataError, match="two different metadata files"):
                find_release(tmp_path)
    (tmp_path / "old" / f"{METADATA_STEM}.csv").write_text("one")
    assert find_release(tmp_path).metadata.path == tmp_path / f"{METADATA_STEM}.csv"


def test_a_metadata_zip_that_is_none(tmp_path: Path) -> None:
    lay_out(tmp_path, "BIOSCAN_cropped.zip", f"{METADATA_STEM}_MultiTypes.zip")
    (tmp_path / f"{METADATA_STEM}.csv").unlink()
    with pytest.raises(ArchiveError, match="cannot be read as a zip"):
        find_release(tmp_path)
