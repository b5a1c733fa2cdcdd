"""Images are found wherever people have them, and what is not read is told."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bioscan5m_hf.errors import ReleaseNotFound
from bioscan5m_hf.release.find import find_release
from bioscan5m_hf.release.image_index import Stray, read_images
from bioscan5m_hf.release.layout import archive_at, why_not_read
from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.storage.identity import tree_identity

METADATA = "BIOSCAN_5M_Insect_Dataset_metadata.csv"
TREE = {
    "cropped_256/train/0/A-1.jpg": b"a",
    "cropped_256/train/f/B-2.jpg": b"bb",
    "cropped_256/val/C-3.jpg": b"ccc",
}
IMAGES = {"A-1": 1, "B-2": 2, "C-3": 3}


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def pack(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def listed(root: Path) -> tuple[dict[str, int], list[Stray]]:
    """The images that are found, with their sizes, and what is not taken for one."""
    strays: list[Stray] = []
    selection = find_release(root).select("cropped_256")
    found: dict[str, int] = {}
    for batch in read_images(selection, SPLITS, strays.append):
        for row in batch.to_pylist():
            assert row["processid"] not in found
            found[row["processid"]] = row["size"]
    return found, strays


def below(prefix: str, only: str = "") -> dict[str, bytes]:
    return {
        f"{prefix}{name.removeprefix(only)}": data for name, data in TREE.items() if only in name
    }


LAYOUTS: dict[str, Callable[[Path], object]] = {
    "upstream's zip": lambda root: pack(
        root / "BIOSCAN_5M_cropped_256.zip", below("bioscan5m/images/")
    ),
    "a zip of the folder images": lambda root: pack(
        root / "BIOSCAN_cropped_256.zip", below("images/")
    ),
    "a zip of the package": lambda root: pack(root / "cropped_256.zip", TREE),
    "a zip of what is in the package": lambda root: pack(
        root / "cropped_256.zip", below("", "cropped_256/")
    ),
    "zips of the splits in the folder of the package": lambda root: [
        pack(
            root / "cropped_256" / f"{split}.zip",
            {
                name.removeprefix("cropped_256/"): data
                for name, data in TREE.items()
                if f"/{split}/" in name
            },
        )
        for split in ("train", "val")
    ],
    "zips of single splits": lambda root: [
        pack(
            root / f"cropped_256_{split}.zip",
            {name: data for name, data in TREE.items() if f"/{split}/" in name},
        )
        for split in ("train", "val")
    ],
    "unpacked": lambda root: put(root / "bioscan5m" / "images", TREE),
    "unpacked without the folder images": lambda root: put(root / "x", TREE),
    "unpacked in a folder that Windows made": lambda root: put(
        root / "BIOSCAN_5M_cropped_256_train" / "bioscan5m" / "images", TREE
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_found(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    (tmp_path / METADATA).touch()
    assert listed(tmp_path) == (IMAGES, [])


@pytest.mark.parametrize("given", ["", "bioscan5m", "bioscan5m/images"])
def test_any_folder_of_the_tree_may_be_given(given: str, tmp_path: Path) -> None:
    put(tmp_path, below("bioscan5m/images/") | {f"bioscan5m/metadata/csv/{METADATA}": b""})
    assert listed(tmp_path / given) == (IMAGES, [])


def test_the_folder_of_a_package_or_a_split_may_be_given(tmp_path: Path) -> None:
    put(tmp_path, below("bioscan5m/images/") | {f"bioscan5m/metadata/csv/{METADATA}": b""})
    images = tmp_path / "bioscan5m" / "images"
    assert listed(images / "cropped_256") == (IMAGES, [])
    assert listed(images / "cropped_256" / "val") == ({"C-3": 3}, [])


def test_one_zip_may_be_given(tmp_path: Path) -> None:
    pack(tmp_path / "BIOSCAN_5M_cropped_256_train.zip", below("bioscan5m/images/"))
    pack(tmp_path / "BIOSCAN_5M_cropped_256_eval.zip", below("bioscan5m/images/"))
    (tmp_path / METADATA).touch()
    release = find_release(tmp_path / "BIOSCAN_5M_cropped_256_train.zip")
    assert [archive.path.name for archive in release.archives] == [
        "BIOSCAN_5M_cropped_256_train.zip"
    ]
    with pytest.raises(ReleaseNotFound, match="is a file whose name"):
        find_release(tmp_path / METADATA)


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".JPG", ".JPEG"])
@pytest.mark.parametrize("packed", [True, False])
def test_every_ending(ending: str, packed: bool, tmp_path: Path) -> None:
    files = {
        name.replace(".jpg", ending if "B-2" in name else ".jpg"): data
        for name, data in below("images/").items()
    }
    if packed:
        pack(tmp_path / "BIOSCAN_5M_cropped_256.zip", files)
    else:
        put(tmp_path, files)
    (tmp_path / METADATA).touch()
    assert listed(tmp_path) == (IMAGES, [])


def test_what_a_mac_writes_is_no_image(tmp_path: Path) -> None:
    twins = {
        f"__MACOSX/{n.rpartition('/')[0]}/._{n.rpartition('/')[2]}": b"\0\5\x16\7" for n in TREE
    }
    beside = {f"{n.rpartition('/')[0]}/._{n.rpartition('/')[2]}": b"\0\5\x16\7" for n in TREE}
    for number, files in enumerate((twins, beside)):
        zipped, unpacked = tmp_path / f"zip{number}", tmp_path / f"tree{number}"
        pack(zipped / "BIOSCAN_5M_cropped_256.zip", {**TREE, **files})
        put(unpacked / "images", {**TREE, **files})
        for root in (zipped, unpacked):
            (root / METADATA).touch()
            (root / f"._{METADATA}").touch()
            found, strays = listed(root)
            assert found == IMAGES
            assert not [stray for stray in strays if stray.image]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("BIOSCAN_5M_cropped_256_train (1).zip", "nearly one of upstream's"),
        ("BIOSCAN_5M_cropped_256_train.zip?download=1", "nearly one of upstream's"),
        ("Copy of BIOSCAN_5M_cropped_256_train.zip.bak", "nearly one of upstream's"),
        ("BIOSCAN_5M_cropped_256_trian.zip", "nearly one of upstream's"),
        ("BIOSCAN_5M_cropped_256_train.zip.crdownload", "did not finish"),
        ("BIOSCAN_5M_cropped_256_train.zip.part", "did not finish"),
        ("BIOSCAN_5M_cropped_256_train.zip.001", "one piece"),
        ("BIOSCAN_5M_cropped_256_train.z01", "one piece"),
        ("BIOSCAN_5M_cropped_256_train.zip.filepart", "did not finish"),
        ("Unconfirmed 40761.crdownload", "did not finish"),
        ("BIOSCAN_5M_cropped_256_train.7z", "packed in another way"),
        ("BIOSCAN_5M_cropped_256_train.tar.gz", "packed in another way"),
        ("Copy of BIOSCAN_5M_cropped_256_train.zip", "nearly one of upstream's"),
        ("train.zip", "not one of upstream's"),
        ("BIOSCAN_5M_Insect_Dataset_metadata.csv.crdownload", "did not finish"),
        ("BIOSCAN_5M_Insect_Dataset_metadata.csv.gz", "packed in another way"),
        ("BIOSCAN_5M_Insect_Dataset_metadata.csv?download=1", "nearly one of upstream's"),
        ("BIOSCAN_5M_Insect_Dataset_metadata.csv.txt", "nearly one of upstream's"),
        ("BIOSCAN_5M_Insect_Dataset_metadata.xlsx", "metadata are a .csv or .jsonld"),
        ("BIOSCAN_5M_Insect_bbox.tsv.gz", "packed in another way"),
    ],
)
def test_what_is_nearly_an_archive_is_told(name: str, told: str, tmp_path: Path) -> None:
    assert archive_at(tmp_path / name) is None
    note = why_not_read(name)
    assert note is not None
    assert name in note
    assert "not read" in note
    assert told in note
    put(tmp_path, {name: b"", "BIOSCAN_5M_cropped_256_eval.zip": b""})
    with pytest.raises(ReleaseNotFound, match="no metadata in this folder") as missing:
        find_release(tmp_path)
    assert note in str(missing.value)
    (tmp_path / METADATA).touch()
    assert note in find_release(tmp_path).notes


@pytest.mark.parametrize(
    "name", ["README.md", "zip", "notes.txt", "BIOSCAN_5M_cropped_256_train.zip.md5"]
)
def test_other_files_are_nobodys_concern(name: str) -> None:
    assert why_not_read(name) is None


def test_metadata_as_extract_all_leaves_them(tmp_path: Path) -> None:
    deep = f"BIOSCAN_5M_Insect_Dataset_metadata_MultiTypes/bioscan5m/metadata/csv/{METADATA}"
    put(tmp_path, {deep: b"", "BIOSCAN_5M_cropped_256.zip": b""})
    assert find_release(tmp_path).metadata.path == tmp_path / deep


def test_links_stay_inside_the_tree(tmp_path: Path) -> None:
    root = put(tmp_path / "release", below("images/") | {METADATA: b""})
    private = put(tmp_path / "home", {"secret.jpg": b"private", "album/D-4.jpg": b"private"})
    train = root / "images" / "cropped_256" / "train"
    (train / "0" / "E-5.jpg").symlink_to(private / "secret.jpg")
    (train / "1").symlink_to(private / "album")
    (train / "0" / "F-6.jpg").symlink_to("../f/B-2.jpg")
    (root / "images" / "cropped_256" / "test").symlink_to(private / "album")
    os.mkfifo(train / "0" / "G-7.jpg")
    for circle in (train / "0" / "H-8.jpg", train / "2", root / "BIOSCAN_cropped"):
        circle.symlink_to(circle.name)
    found, strays = listed(root)
    assert found == {**IMAGES, "F-6": 2}
    assert {(s.member, s.image, s.detail.startswith("a link")) for s in strays} == {
        ("0/E-5.jpg", True, True),
        ("1", True, True),
        ("test", True, True),
        ("0/G-7.jpg", True, False),
        ("0/H-8.jpg", True, False),
        ("2", False, False),
    }
    assert len({tree_identity(train), tree_identity(train / "0"), tree_identity(train)}) == 2


def test_each_wrong_place_has_its_message(tmp_path: Path, converted: Path) -> None:
    with pytest.raises(ReleaseNotFound, match="does not exist"):
        find_release(tmp_path / "absent")
    with pytest.raises(ReleaseNotFound, match="is a converted dataset folder"):
        find_release(converted)
    shutil.copytree(converted, tmp_path / "copy", copy_function=os.link)
    (tmp_path / "copy" / "notes.zip").touch()
    with pytest.raises(ReleaseNotFound, match="is a converted dataset folder"):
        find_release(tmp_path / "copy")
    (tmp_path / "pipe").touch()
    (tmp_path / "pipe").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReleaseNotFound, match="neither a folder nor a file"):
        find_release(tmp_path / "pipe")
