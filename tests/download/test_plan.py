from __future__ import annotations

import pytest

from bioscan5m_hf.errors import ReleaseNotFound, UnknownName, UsageError
from bioscan5m_hf.release.find import find_release
from bioscan5m_hf.schema.columns import split_named
from bioscan5m_hf.schema.upstream import FILES, METADATA_ZIP, MIRRORS, mirror_named
from conversion.download.plan import plan_download

METADATA = "BIOSCAN_5M_Insect_Dataset_metadata_MultiTypes.zip"


def names(mirror: str, packages: list[str], *splits: str) -> list[str]:
    wanted = [split_named(name) for name in splits]
    return [file.name for file in plan_download(mirror_named(mirror), packages, wanted)]


@pytest.mark.parametrize("mirror", ["hub", "zenodo"])
@pytest.mark.parametrize("split", ["val", "validation", "test", "key_unseen", "other_heldout"])
def test_an_evaluation_split_needs_the_eval_group_only(mirror: str, split: str) -> None:
    expected = [METADATA, "BIOSCAN_5M_cropped_256_eval.zip"]
    assert names(mirror, ["cropped_256"], split) == expected


def test_two_splits_of_one_group_need_one_archive() -> None:
    assert names("hub", ["original_256"], "val", "test", "train") == [
        METADATA,
        "BIOSCAN_5M_original_256_eval.zip",
        "BIOSCAN_5M_original_256_train.zip",
    ]


def test_pretrain_comes_in_parts_from_zenodo() -> None:
    assert names("zenodo", ["cropped_256"], "pretrain") == [
        METADATA,
        "BIOSCAN_5M_cropped_256_pretrain.01.zip",
        "BIOSCAN_5M_cropped_256_pretrain.02.zip",
    ]


def test_all_splits_are_the_three_groups() -> None:
    assert names("hub", ["cropped_256"]) == [
        METADATA,
        "BIOSCAN_5M_cropped_256_pretrain.zip",
        "BIOSCAN_5M_cropped_256_train.zip",
        "BIOSCAN_5M_cropped_256_eval.zip",
    ]


def test_what_a_mirror_lacks_is_told_with_where_it_is() -> None:
    with pytest.raises(ReleaseNotFound, match="use --from hub"):
        names("zenodo", ["original_256"], "val")
    with pytest.raises(ReleaseNotFound, match=r"by hand from https://drive.*cropped\.01\.zip"):
        names("hub", ["cropped"], "val")


def test_drive_is_for_hands() -> None:
    with pytest.raises(
        UsageError, match=r"browser .* BIOSCAN_5M_Insect_bbox\.tsv, .*full\.01\.zip"
    ):
        names("drive", ["original_full"])


def test_an_unknown_mirror_lists_the_known() -> None:
    with pytest.raises(UnknownName, match="hub, zenodo, drive"):
        mirror_named("ftp")


def test_the_table_says_of_each_name_what_the_reader_of_releases_says() -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in FILES:
            if name != METADATA_ZIP:
                (root / name).touch()
        (root / "BIOSCAN_5M_Insect_Dataset_metadata.csv").touch()
        release = find_release(root)
    assert not release.notes
    assert release.bbox
    found = {archive.path.name: archive for archive in release.archives}
    for name, file in FILES.items():
        if file.package is not None:
            assert (found[name].package, found[name].group) == (file.package, file.partition)


def test_every_name_of_a_mirror_is_in_the_table() -> None:
    for mirror in MIRRORS:
        assert METADATA_ZIP in mirror.files
        assert set(mirror.files) <= set(FILES)
        assert len(set(mirror.files)) == len(mirror.files)


def test_lengths_and_digests_are_the_published_ones() -> None:
    known = {name: (file.bytes, file.md5) for name, file in FILES.items() if file.md5}
    assert known == {
        METADATA: (2065075527, "ac381b69fafdbaedc2f9cfb89e3571f7"),
        "BIOSCAN_5M_cropped_256_eval.zip": (1467020347, "16a997f72a8cd08cbcf7becafe2dda50"),
        "BIOSCAN_5M_cropped_256_train.zip": (2224548648, "3f170db5d95610644883dafc73389049"),
        "BIOSCAN_5M_cropped_256_pretrain.01.zip": (None, "0e1cfa86dc7fa4d9c10036990992a2dd"),
        "BIOSCAN_5M_cropped_256_pretrain.02.zip": (None, "ca3191d307957732e8108121b20a2059"),
    }
