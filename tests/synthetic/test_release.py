import dataclasses
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bioscan5m_hf.errors import OutputError, UsageError
from bioscan5m_hf.schema.columns import SPLITS
from bioscan5m_hf.schema.configurations import PARTITIONS, package_names, splits_of
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_ZIP
from bioscan5m_hf.schema.upstream import METADATA_STEM as STEM
from conversion.progress import SilentWatcher
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from tests.limits import files_of_at_most
from tests.watched import Remembered

Rows = list[dict[str, str]]


def _tiny(root: Path, specimens: int = 64, **others: Any) -> SampleOptions:
    return SampleOptions(root, specimens, **({"workers": 1, "tiny": True} | others))


def _files(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def _images(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        return [name for name in opened.namelist() if not name.endswith("/")]


def test_images_agree_with_boxes_and_carry_their_names(
    release: Path, boxes_of: Callable[[Path], Rows]
) -> None:
    boxes = {line["processid"]: line for line in boxes_of(release)}
    found = 0
    for package in package_names():
        for partition in PARTITIONS:
            with zipfile.ZipFile(release / f"BIOSCAN_5M_{package}_{partition}.zip") as archive:
                for name in archive.namelist():
                    if name.endswith("/"):
                        continue
                    processid = Path(name).stem
                    data = archive.read(name)
                    comment = processid.encode()
                    # The comment follows the JFIF segment, which has to come first.
                    assert data[20:24] == b"\xff\xfe\x00" + bytes([len(comment) + 2])
                    box = {key: int(boxes[processid][key]) for key in ("x0", "y0", "x1", "y1")}
                    cut = (box["x1"] - box["x0"], box["y1"] - box["y0"])
                    with Image.open(io.BytesIO(data)) as image:
                        image.load()
                        assert image.info["comment"] == comment
                        _check_size(package, image.size, cut)
                    found += 1
    assert found == 4 * 40


def _check_size(package: str, size: tuple[int, int], cut: tuple[int, int]) -> None:
    if package == "original_full":
        assert size == (1024, 768)
    elif package == "original_256":
        assert size == (341, 256)
    elif package == "cropped":
        assert size == cut
    else:
        assert min(size) == 256
        assert size[0] / size[1] == pytest.approx(cut[0] / cut[1], rel=0.01)


def test_images_lie_where_the_metadata_says(tiny: Path, rows: Rows) -> None:
    expected = {
        "/".join(
            part for part in ("bioscan5m/images/cropped_256", row["split"], row["chunk"]) if part
        )
        + f"/{row['processid']}.jpg"
        for row in rows
    }
    found = [name for path in tiny.glob("*cropped_256*.zip") for name in _images(path)]
    assert len(found) == len(expected)
    assert set(found) == expected


def test_members_are_in_upstreams_order(tiny: Path) -> None:
    place = {split.name: number for number, split in enumerate(SPLITS)}
    for partition in PARTITIONS:
        names = _images(tiny / f"BIOSCAN_5M_cropped_256_{partition}.zip")
        splits = [name.split("/")[3] for name in names]
        assert set(splits) == {split.name for split in splits_of(partition)}
        assert names == sorted(names, key=lambda name: (place[name.split("/")[3]], name))


def test_folders_have_entries_before_their_images(tiny: Path) -> None:
    with zipfile.ZipFile(tiny / "BIOSCAN_5M_cropped_256_train.zip") as archive:
        entered = {""}
        for name in archive.namelist():
            parent = name.rstrip("/").rpartition("/")[0]
            assert (f"{parent}/" if parent else "") in entered
            if name.endswith("/"):
                assert name not in entered
                entered.add(name)


def test_workers_and_runs_make_no_difference(tmp_path: Path) -> None:
    options = SampleOptions(tmp_path / "one", 24, workers=1, metadata=("csv", "jsonld", "zip"))
    write_sample(options)
    write_sample(dataclasses.replace(options, root=tmp_path / "two", workers=2))
    assert _files(tmp_path / "one") == _files(tmp_path / "two")


def test_blocks_and_workers_make_no_difference_to_metadata(tmp_path: Path) -> None:
    for count in (1, 2):
        write_sample(_tiny(tmp_path / str(count), 5_000, workers=count, packages=("cropped",)))
    assert _files(tmp_path / "1") == _files(tmp_path / "2")


def test_another_seed_is_another_release(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_sample(_tiny(tmp_path / str(seed), seed=seed, metadata=("csv",)))
    first, second = _files(tmp_path / "0"), _files(tmp_path / "1")
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


@pytest.mark.parametrize(
    ("names", "stem"), [("hub", "BIOSCAN_5M_original_full"), ("seed", "BIOSCAN_original")]
)
@pytest.mark.parametrize(
    ("layout", "suffixes"),
    [
        ("groups", ["_pretrain.zip", "_train.zip", "_eval.zip"]),
        ("full", [".zip"]),
        ("parts", [".01.zip", ".02.zip"]),
    ],
)
def test_layouts_and_names(
    tmp_path: Path, names: str, stem: str, layout: str, suffixes: list[str]
) -> None:
    root = tmp_path / "release"
    write_sample(_tiny(root, packages=("original_full",), names=names, layout=layout))
    archives = {path.name for path in root.glob("*.zip")}
    assert archives == {stem + suffix for suffix in suffixes}
    members = [name for archive in archives for name in _images(root / archive)]
    assert len(members) == len(set(members)) == 64
    others = {path.name for path in root.iterdir()} - archives
    assert others == {BBOX_NAME, f"{STEM}.csv", f"{STEM}.jsonld"}


def test_the_folder_holds_what_the_zips_hold(tmp_path: Path) -> None:
    packages = ("cropped", "cropped_256")
    write_sample(_tiny(tmp_path / "zips", packages=packages, layout="full"))
    write_sample(_tiny(tmp_path / "tree", packages=packages, layout="folder"))
    for archive in (tmp_path / "zips").glob("*.zip"):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(tmp_path / "unpacked")
    unpacked = _files(tmp_path / "unpacked")
    for kind in ("csv", "jsonld"):
        path = tmp_path / "zips" / f"{STEM}.{kind}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        unpacked[f"bioscan5m/metadata/{kind}/{STEM}.{kind}"] = digest
    unpacked[BBOX_NAME] = _files(tmp_path / "zips")[BBOX_NAME]
    assert _files(tmp_path / "tree") == unpacked


def test_metadata_in_the_zip_alone(tmp_path: Path) -> None:
    root = tmp_path / "release"
    write_sample(_tiny(root, packages=(), metadata=("zip",)))
    assert {path.name for path in root.iterdir()} == {METADATA_ZIP, BBOX_NAME}


def test_few_photographs_serve_many_specimens(tmp_path: Path) -> None:
    root = tmp_path / "release"
    write_sample(_tiny(root, 500, distinct=3, packages=("cropped_256",), layout="full"))
    with zipfile.ZipFile(root / "BIOSCAN_5M_cropped_256.zip") as archive:
        pictures = {
            Image.open(io.BytesIO(archive.read(name))).tobytes()
            for name in archive.namelist()
            if name.endswith(".jpg")
        }
    assert len(pictures) == 3


def test_counts_and_progress(tmp_path: Path) -> None:
    root = tmp_path / "release"
    watcher = Remembered()
    counts = write_sample(_tiny(root, 300, packages=("cropped", "original_256")), watcher)
    assert sum(counts.values()) == 300
    assert list(watcher.totals.values()) == [300, 600, 300]
    watcher.require_whole()


@pytest.mark.parametrize("specimens", range(8, 14))
def test_the_smallest_samples(tmp_path: Path, specimens: int) -> None:
    assert min(write_sample(_tiny(tmp_path, specimens)).values()) >= 1


def test_an_archive_that_is_broken_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    watcher = SilentWatcher()
    monkeypatch.setattr(watcher, "progress", lambda *_: nullcontext(interrupt))
    with pytest.raises(KeyboardInterrupt):
        write_sample(_tiny(tmp_path / "release", 500, layout="full"), watcher)
    assert list((tmp_path / "release").iterdir()) == []


def test_a_disk_that_becomes_full_is_told_with_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "release"
    with files_of_at_most(10_000), pytest.raises(OutputError) as error:
        write_sample(_tiny(root, 500, layout="full"))
    assert str(error.value) == (
        f"{root}: the release cannot be written (File too large); make room, remove this folder, "
        "and run the same command again"
    )


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OutputError, match=r"not empty: it holds 'mine.txt'; name a new folder"):
        write_sample(_tiny(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_two_at_once_do_not_mix_their_releases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tempfile.TemporaryDirectory

    def other(**given: Any) -> Any:
        (tmp_path / ".unfinished-other").mkdir()
        return real(**given)

    monkeypatch.setattr(tempfile, "TemporaryDirectory", other)
    with pytest.raises(OutputError, match=r"not empty: it holds '.unfinished-other'"):
        write_sample(SampleOptions(tmp_path, 8, packages=(), workers=1))
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished-other"]


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    with pytest.raises(OutputError, match="cannot be made"):
        write_sample(_tiny(tmp_path / "file"))


def test_too_few_specimens_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 8"):
        write_sample(_tiny(tmp_path / "release", 7))
    assert list(tmp_path.iterdir()) == []
