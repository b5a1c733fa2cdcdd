"""No single bit of a dataset folder changes unnoticed, and no file."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bioscan5m_hf.errors import BioscanError, ForeignFolder
from bioscan5m_hf.readers.formats import FORMATS
from bioscan5m_hf.sources.manifest import MANIFEST_NAME
from conversion.files.atomic import digest_of
from conversion.folder.manifest import read_manifest
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.release import write_sample
from conversion.verify.folder import VerifyOptions, verify
from tests.conftest import Run, make_once
from tests.processes import RELEASE_CSV

pytestmark = pytest.mark.usefixtures("no_processes")

BITS = 30


@pytest.fixture(scope="session")
def source(shared: Path) -> Path:
    """A small release of one package, in which one image is missing."""

    def make(root: Path) -> None:
        write_sample(SampleOptions(root, 60, packages=("cropped_256",), distinct=6, workers=1))
        path = root / "BIOSCAN_5M_cropped_256_eval.zip"
        with zipfile.ZipFile(path) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members[:-1]:
                archive.writestr(name, data)

    return make_once(shared / "verified-release", make)


@pytest.fixture(scope="session")
def originals(source: Path, shared: Path, call: Run) -> dict[str, Path]:
    """A folder of each format."""
    words = ("--on-error", "record", "--shard-size", "60kB", "--quiet", "--format")
    return {
        name: make_once(
            shared / f"verified-{name}",
            lambda root, name=name: call("convert", source, "--output", root, *words, name),  # type: ignore[misc]
        )
        for name in FORMATS
    }


@pytest.fixture
def folder(originals: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(originals["parquet"], tmp_path / "folder"))


def findings(folder: Path, **options: object) -> list[str]:
    """What is wrong with a folder; a manifest that cannot be read is one finding."""
    try:
        _, found = verify(VerifyOptions(folder, 1, **options))  # type: ignore[arg-type]
    except BioscanError as error:
        assert error.exit_status == 1
        return [str(error)]
    return found


def test_what_convert_writes_is_right(originals: dict[str, Path], source: Path) -> None:
    for folder in originals.values():
        assert findings(folder, release=source, decode=True) == []


def kinds(folder: Path) -> dict[str, list[Path]]:
    """The files of a folder: shards, metadata, and each other file."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        kind = path.parent.name if "-of-" in path.name else path.name
        found.setdefault(kind, []).append(path)
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_every_flipped_bit_is_found(form: str, originals: dict[str, Path], tmp_path: Path) -> None:
    # One bit in each of many copies would take long to verify one by one; so half of them are
    # flipped one to a shard, all at once, and each must be told of.
    folder = Path(shutil.copytree(originals[form], tmp_path / "folder"))
    choose = random.Random(form)
    shards = [p for kind, paths in kinds(folder).items() if "." not in kind for p in paths]
    assert len(shards) > 12
    for _ in range(BITS // len(shards) + 1):
        for path in shards:
            flip(path, choose)
        found = findings(folder)
        for path in shards:
            name = path.relative_to(folder).as_posix()
            assert any(line.startswith(f"{name}: its bytes were changed") for line in found)
            shutil.copy(originals[form] / name, path)
    others = [path for kind, paths in kinds(folder).items() if "." in kind for path in paths]
    assert {path.name for path in others} >= {"README.md", MANIFEST_NAME, "rejects.parquet"}
    for path in others:
        for _ in range(2):
            flip(path, choose)
            assert findings(folder), f"a bit of {path.name}"
            shutil.copy(originals[form] / path.relative_to(folder), path)
    assert findings(folder) == []


def test_every_bit_of_the_manifest_matters(folder: Path) -> None:
    path = folder / MANIFEST_NAME
    data = path.read_bytes()
    choose = random.Random(3)
    for _ in range(2000):
        flip(path, choose)
        with contextlib.suppress(ForeignFolder):
            # What verify compares: a manifest that says the same has the same bytes.
            assert read_manifest(folder).to_json() != path.read_bytes()
        path.write_bytes(data)
    assert read_manifest(folder).to_json() == data


def flip(path: Path, choose: random.Random) -> None:
    data = bytearray(path.read_bytes())
    bit = choose.randrange(8 * len(data))
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def missing(folder: Path) -> None:
    shard(folder).unlink()


def renamed(folder: Path) -> None:
    shard(folder).rename(folder / "cropped_256" / "pretrain-00009-of-00009.parquet")


def renamed_away(folder: Path) -> None:
    shard(folder).rename(folder / "pretrain.parquet")


def extra(folder: Path) -> None:
    shutil.copy(shard(folder), folder / "cropped_256" / "train-00001-of-00001.parquet")


def extra_elsewhere(folder: Path) -> None:
    (folder / "more" / "below").mkdir(parents=True)
    shutil.copy(shard(folder), folder / "more" / "below" / "train-00000-of-00001.parquet")


def extra_beside_the_card(folder: Path) -> None:
    shutil.copy(shard(folder), folder / "train.parquet")


def truncated(folder: Path) -> None:
    os.truncate(shard(folder), shard(folder).stat().st_size - 1)


def emptied(folder: Path) -> None:
    os.truncate(shard(folder), 0)


def appended(folder: Path) -> None:
    with shard(folder).open("ab") as file:
        file.write(b"\0")


def swapped(folder: Path) -> None:
    first, second, *_ = sorted((folder / "cropped_256").glob("pretrain-*"))
    aside = folder / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def a_folder_instead(folder: Path) -> None:
    path = shard(folder)
    path.unlink()
    path.mkdir()


def card_gone(folder: Path) -> None:
    (folder / "README.md").unlink()


def card_edited(folder: Path) -> None:
    path = folder / "README.md"
    path.write_text(path.read_text("utf-8").replace("split: train", "split: test"), "utf-8")


def card_without_front_matter(folder: Path) -> None:
    (folder / "README.md").write_text("# BIOSCAN-5M\n")


def card_of_odd_yaml(folder: Path) -> None:
    (folder / "README.md").write_text("---\na: 2020-99-99 25:61:61\n---\n")


def card_of_deep_yaml(folder: Path) -> None:
    (folder / "README.md").write_text(f"---\n{'[' * 5000}\n---\n")


def rejects_gone(folder: Path) -> None:
    (folder / "rejects.parquet").unlink()


def shard(folder: Path) -> Path:
    return folder / "cropped_256" / "train-00000-of-00001.parquet"


CHANGES = [
    missing, renamed, renamed_away, extra, extra_elsewhere, extra_beside_the_card, truncated,
    emptied, appended, swapped, a_folder_instead, card_gone, card_edited,
    card_without_front_matter, card_of_odd_yaml, card_of_deep_yaml, rejects_gone,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_files_is_found(change: Callable[[Path], None], folder: Path) -> None:
    change(folder)
    assert findings(folder)


def test_every_finding_is_told_and_the_status_is_1(folder: Path, call: Run) -> None:
    missing(folder)
    swapped(folder)
    card_edited(folder)
    done = call("verify", folder, status=1)
    assert "cropped_256/train-00000-of-00001.parquet: is missing" in done.stdout
    assert "cropped_256/pretrain-00000-of" in done.stdout
    assert "cropped_256/pretrain-00001-of" in done.stdout
    assert "README.md: its configurations are not those of the files" in done.stdout
    assert "differences" in done.stderr


def forge(folder: Path, path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Let the manifest say that a file is as it should be; its own digest is not renewed."""
    manifest = json.loads((folder / MANIFEST_NAME).read_text("utf-8"))
    name = path.relative_to(folder).as_posix()
    for splits in manifest["configurations"].values():
        for files in splits.values():
            for entry in files["shards"]:
                if entry["path"] == name:
                    change(entry)
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("other", ["pretrain", "validation"])
def test_what_the_manifest_is_forged_for_is_found_in_the_rows(other: str, folder: Path) -> None:
    target = shard(folder)
    [stranger, *_] = sorted((folder / "cropped_256").glob(f"{other}-*"))
    shutil.copy(stranger, target)
    written = digest_of(target)

    def change(entry: dict[str, object]) -> None:
        entry |= {"bytes": written.bytes, "xxh3": written.xxh3}

    forge(folder, target, change)
    found = findings(folder)
    assert any("of other splits than train" in line for line in found)
    assert any("more than one row for" in line for line in found)
    assert any("the metadata lack" in line for line in found)


def reversed_rows(rows: pa.Table) -> pa.Table:
    return rows.take(list(reversed(range(rows.num_rows))))


def first_row_lost(rows: pa.Table) -> pa.Table:
    return rows.slice(1)


def last_row_twice(rows: pa.Table) -> pa.Table:
    return pa.concat_tables([rows, rows.slice(rows.num_rows - 1)])


def a_processid_lost(rows: pa.Table) -> pa.Table:
    names = [None, *rows["processid"].to_pylist()[1:]]
    return rows.set_column(
        rows.column_names.index("processid"), "processid", pa.array(names, pa.string())
    )


def all_countries_others(rows: pa.Table) -> pa.Table:
    column = pa.array(["Atlantis"] * rows.num_rows)
    for name in ("country", "province_state", "sampleid", "taxon", "phylum", "genus"):
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (reversed_rows, "its rows are not in the order of md5(processid)"),
        (first_row_lost, "it has fewer rows than the release"),
        (last_row_twice, "it has more rows than the release"),
        (a_processid_lost, "a row has no processid"),
        (all_countries_others, "and more"),
    ],
)
def test_rows_that_were_changed_with_the_manifest_are_found(
    change: Callable[[pa.Table], pa.Table], told: str, folder: Path, source: Path
) -> None:
    target = shard(folder)
    made = change(pq.read_table(target))
    pq.write_table(made, target)
    written = digest_of(target)
    new = {"bytes": written.bytes, "xxh3": written.xxh3, "rows": made.num_rows}
    forge(folder, target, lambda entry: entry.update(new))
    found = findings(folder, release=source)
    assert f"cropped_256/{target.name}: {told}" in found
    sums = f"{MANIFEST_NAME}: the shards of cropped_256/train do not add up"
    assert (sums in found) == (change in (first_row_lost, last_row_twice))


def test_what_is_no_shard_with_the_manifest_changed_is_found(folder: Path) -> None:
    target = shard(folder)
    target.write_bytes(b"no Parquet")
    written = digest_of(target)
    forge(folder, target, lambda e: e.update({"bytes": written.bytes, "xxh3": written.xxh3}))
    assert any(
        line.startswith(f"cropped_256/{target.name}: cannot be read back")
        for line in findings(folder)
    )


def test_shards_that_were_exchanged_with_the_manifest_are_found(folder: Path) -> None:
    first, second = sorted((folder / "cropped_256").glob("pretrain-*"))[:2]
    held = {path: path.read_bytes() for path in (first, second)}
    for path, other in ((first, second), (second, first)):
        path.write_bytes(held[other])
        written = digest_of(path)
        new = {
            "bytes": written.bytes,
            "xxh3": written.xxh3,
            "rows": pq.read_metadata(path).num_rows,
        }
        forge(folder, path, lambda entry, new=new: entry.update(new))  # type: ignore[misc]
    found = findings(folder)
    assert "cropped_256/pretrain: its shards are not in the order of md5(processid)" in found


def test_another_release_is_told_of(
    source: Path, originals: dict[str, Path], tmp_path: Path
) -> None:
    other = Path(shutil.copytree(source, tmp_path / "release"))
    path = other / RELEASE_CSV
    path.write_bytes(path.read_bytes().replace(b"Arthropoda", b"Arthropodo"))
    found = findings(originals["parquet"], release=other)
    assert any("phylum of" in line and "'Arthropodo'" in line for line in found)
    assert "metadata: some values differ from the release" in found


def test_another_image_in_the_release_is_told_of(
    source: Path, originals: dict[str, Path], tmp_path: Path
) -> None:
    other = Path(shutil.copytree(source, tmp_path / "release"))
    path = other / "BIOSCAN_5M_cropped_256_train.zip"
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    images = [name for name, data in members if data]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            changed = data.replace(b"JFIF", b"JFIX") if name == images[2] else data
            archive.writestr(name, changed)
    for folder in originals.values():
        [line] = findings(folder, release=other)
        assert f"the image of {Path(images[2]).stem} differs from the release" in line


def test_an_image_that_cannot_be_decoded_is_found(source: Path, tmp_path: Path, call: Run) -> None:
    release = Path(shutil.copytree(source, tmp_path / "release"))
    path = release / "BIOSCAN_5M_cropped_256_train.zip"
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    images = [name for name, data in members if data]
    size = b"\xff\xc0\x00\x11\x08"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            at = data.find(size) + len(size)
            if name == images[0]:
                # A photograph of 65,000 by 65,000 pixels, it says: 12 GB when decoded.
                data = data[:at] + b"\xfd\xe8\xfd\xe8" + data[at + 4 :]  # noqa: PLW2901
            elif name == images[1]:
                # A Huffman table with more codes than there can be.
                at = data.find(b"\xff\xc4") + 5
                data = data[:at] + b"\xff" * 16 + data[at + 16 :]  # noqa: PLW2901
            archive.writestr(name, data)
    for form in FORMATS:
        output = tmp_path / form
        call(
            "convert", release, "--output", output, "--on-error=record", "--format", form, "--quiet"
        )
        assert findings(output) == []
        found = findings(output, decode=True)
        assert len(found) == 2
        for image in images[:2]:
            assert any(f"the image of {Path(image).stem} cannot be decoded" in f for f in found)
    # Converting again would make the same shards.
    told = call("verify", output, "--images", status=1).stderr
    assert "everything matches the manifest, but 2 images cannot be decoded" in told
    assert "download its archive again" in told
    assert "--restart" not in told
