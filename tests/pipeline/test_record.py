"""``--on-error record``: every flaw is left out, recorded and counted, and the rest arrives."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bioscan5m_hf.release.zip_member import MAX_IMAGE_BYTES
from bioscan5m_hf.schema.columns import split_named
from conversion.folder.manifest import read_manifest
from tests.conftest import Run
from tests.release.test_jpeg import encode
from tests.release.zips import Entry, Zip
from tests.rows import NAMES, as_csv, as_jsonld, plain

JPEG = encode((40, 30))
TRAIN = "BIOSCAN_5M_cropped_256_train.zip"
EVAL = "BIOSCAN_5M_cropped_256_eval.zip"
METADATA = "BIOSCAN_5M_Insect_Dataset_metadata"


def member(number: int, split: str = "train", **changes: Any) -> Entry:
    chunk = "a/" if split == "train" else ""
    name = f"bioscan5m/images/cropped_256/{split}/{chunk}P{number}-23.jpg"
    entry = Entry(name.encode(), JPEG + b"%d\xff\xd9" % number)
    return replace(entry, **changes)


def write(root: Path, rows: list[dict[str, str]], train: list[Entry], form: str = "csv") -> Path:
    """A release of the given rows and images, and of three sound specimens in ``val``."""
    root.mkdir(parents=True)
    rows = [*rows, *(plain(n, split="val") for n in range(90, 93))]
    data = as_csv(rows) if form == "csv" else as_jsonld(rows)
    (root / f"{METADATA}.{form}").write_bytes(data)
    (root / TRAIN).write_bytes(bytes(Zip(tuple(train))))
    (root / EVAL).write_bytes(bytes(Zip(tuple(member(n, "val") for n in range(90, 93)))))
    return root


def convert_words(release: Path, output: Path) -> list[str]:
    """The command line of a quiet conversion by one worker."""
    return ["convert", str(release), "--output", str(output), "--workers", "1", "--quiet"]


def convert(root: Path, call: Run, *words: str) -> tuple[list[dict[str, Any]], str]:
    """Convert with and without recording; returns what was recorded, and the summary."""
    output = root.parent / "out"
    command = ("convert", root, "--output", output, *words)
    refused = call(*command, status=1)
    assert refused.stderr.splitlines()[-1].startswith("bioscan5m: error: ")
    if output.exists():
        # What the attempt that stopped has finished stays, noted or not, and nothing half-written.
        assert list(output.glob("cropped_256/*-of-*.parquet"))
        assert not [*output.rglob("*.partial"), *output.glob("manifest.json")]
    done = call(*command, "--on-error", "record")
    rejects = pq.read_table(output / "rejects.parquet").to_pylist()
    manifest = read_manifest(output)
    counted = Counter(reject["reason"] for reject in rejects)
    assert manifest.rejects == dict(counted)
    card = (output / "README.md").read_text("utf-8")
    for reason, count in counted.items():
        assert f"| {reason} | {count} |" in card
        assert reason in done.stdout
    call("verify", output, "--release", root, "--workers=1")
    # It is not forgotten that something was left out.
    assert call(*command, status=1).stderr.splitlines()[-1].startswith("bioscan5m: error: ")
    return rejects, done.stdout


def specimens(output: Path, split: str) -> list[str]:
    paths = (output / "cropped_256").glob(f"{split_named(split).published}-*-of-*.parquet")
    return sorted(
        name for path in paths for name in pq.read_table(path, columns=["processid"])[0].to_pylist()
    )


GOOD = [plain(n) for n in range(6)]
IMAGES = [member(n) for n in range(6)]
PLACE = "bioscan5m/images/cropped_256/train/a/"

FLAWED = {
    "bad-crc": (member(3, crc=5), "CRC-32 "),
    "unreadable": (member(3, size=len(JPEG) + 40), " bytes"),
    "empty": (member(3, data=b""), "0 bytes"),
    "not-a-jpeg": (member(3, data=b"GIF89a" + JPEG), "it starts with 47 49 46 38"),
    "truncated-jpeg": (member(3, data=JPEG[:-2]), "it has no end mark (ff d9)"),
    "oversized": (member(3, size=MAX_IMAGE_BYTES + 1), "67,108,865 bytes, the limit is 67,108,864"),
    "oversized without measure": (member(3, size=2**64 - 1), "18,446,744,073,709,551,615 bytes"),
    "oversized beyond signs": (member(3, size=2**63), "9,223,372,036,854,775,808 bytes"),
}


@pytest.mark.parametrize(("name", "case"), FLAWED.items(), ids=FLAWED)
def test_a_flawed_image(name: str, case: tuple[Entry, str], tmp_path: Path, call: Run) -> None:
    flawed, detail = case
    root = write(tmp_path / "release", GOOD, [*IMAGES[:3], flawed, *IMAGES[4:]])
    [reject], _ = convert(root, call)
    assert detail in reject.pop("detail")
    assert reject == {
        "package": "cropped_256",
        "processid": "P3-23",
        "split": "train",
        "archive": TRAIN,
        "member": f"{PLACE}P3-23.jpg",
        "reason": name.partition(" ")[0],
    }
    files = read_manifest(tmp_path / "out").splits["cropped_256"]
    assert (files["train"].rows, files["train"].rejected) == (5, 1)
    assert files["validation"].rejected == 0
    assert specimens(tmp_path / "out", "train") == [f"P{n}-23" for n in (0, 1, 2, 4, 5)]


def test_images_and_rows_that_do_not_belong_together(tmp_path: Path, call: Run) -> None:
    images = [*IMAGES[:2], *IMAGES[3:], member(50), member(91), member(7, name=b"elsewhere/P7.jpg")]
    root = write(tmp_path / "release", GOOD, images)
    rejects, _ = convert(root, call)
    rows = {(r["reason"], r["processid"], r["split"], r["archive"], r["member"]) for r in rejects}
    assert rows == {
        ("missing-image", "P2-23", "train", None, None),
        ("orphan-image", "P50-23", "train", TRAIN, f"{PLACE}P50-23.jpg"),
        ("orphan-image", "P91-23", "train", TRAIN, f"{PLACE}P91-23.jpg"),
        ("misplaced-image", None, None, TRAIN, "elsewhere/P7.jpg"),
    }
    assert {r["detail"] for r in rejects if r["reason"] == "orphan-image"} == {
        "no row in the metadata",
        "the metadata places it in val",
    }
    assert specimens(tmp_path / "out", "val") == ["P90-23", "P91-23", "P92-23"]
    assert specimens(tmp_path / "out", "train") == [f"P{n}-23" for n in (0, 1, 3, 4, 5)]


@pytest.mark.parametrize("form", ["csv", "jsonld"])
def test_flawed_rows(form: str, tmp_path: Path, call: Run) -> None:
    rows = [
        *GOOD,
        plain(10, coord_lat="north"),
        plain(11, split="nowhere"),
        plain(12, processid="../P12"),
        plain(13, split=""),
        plain(2, taxon="again"),
        plain(14, inferred_ranks="1000"),
    ]
    root = write(tmp_path / "release", rows, IMAGES, form)
    if form == "csv":
        path = root / f"{METADATA}.csv"
        path.write_bytes(path.read_bytes() + b"one,two,three\n")
    rejects, _ = convert(root, call)
    first = 2 if form == "csv" else 1
    found = {(r["reason"], r["processid"], r["split"]): r["detail"] for r in rejects}
    wanted: dict[tuple[str, str | None, str | None], str] = {
        ("unparsable-value", "P10-23", "train"): f"row {first + 6}: coord-lat is not a number",
        ("unknown-split", "P11-23", "nowhere"): f"row {first + 7}: there is no split 'nowhere'",
        ("bad-processid", "../P12", "train"): f"row {first + 8}: the processid '../P12'",
        ("missing-value", "P13-23", None): f"row {first + 9}: split is empty",
        ("duplicate", "P2-23", "train"): f"row {first + 10}: the processid P2-23 stands already",
        ("unparsable-value", "P14-23", "train"): f"row {first + 11}: inferred_ranks is not a",
    }
    if form == "csv":
        wanted["broken-row", None, None] = f"row {first + 15}: has 3 fields instead of 23"
    assert found.keys() == wanted.keys()
    for key, detail in wanted.items():
        assert found[key].startswith(detail)
    assert {r["archive"] for r in rejects} == {f"{METADATA}.{form}"}
    assert {r["package"] for r in rejects} == {None}
    assert specimens(tmp_path / "out", "train") == [f"P{n}-23" for n in range(6)]


def test_images_that_conflict(tmp_path: Path, call: Run) -> None:
    root = write(tmp_path / "release", GOOD, [*IMAGES, member(60), member(92)])
    other = [
        member(1, data=JPEG),  # another image of a specimen
        IMAGES[2],  # the same image once more
        member(60, data=JPEG),  # another image of no specimen
        member(92, data=JPEG),  # another image in a split that its specimen is not of
    ]
    (root / "BIOSCAN_cropped_256_train.zip").write_bytes(bytes(Zip(tuple(other))))
    rejects, _ = convert(root, call)
    rows = sorted((r["reason"], r["processid"]) for r in rejects)
    assert rows == [
        ("conflicting-images", "P1-23"),
        ("orphan-image", "P60-23"),
        ("orphan-image", "P92-23"),
    ]
    assert specimens(tmp_path / "out", "train") == [f"P{n}-23" for n in (0, 2, 3, 4, 5)]
    assert specimens(tmp_path / "out", "val") == ["P90-23", "P91-23", "P92-23"]


def test_plain_files_that_are_flawed(tmp_path: Path, call: Run) -> None:
    root = write(tmp_path / "release", GOOD, IMAGES)
    (root / TRAIN).unlink()
    folder = root / PLACE
    folder.mkdir(parents=True)
    for n in range(6):
        (folder / f"P{n}-23.jpg").write_bytes(JPEG)
    (folder / "P0-23.jpg").write_bytes(b"")
    (folder / "P1-23.jpg").write_bytes(JPEG[:-2])
    with (folder / "P2-23.jpg").open("r+b") as file:
        file.truncate(300 << 30)  # a hole of 300 GB
    (folder / "P3-23.jpg").unlink()
    (folder / "P3-23.jpg").symlink_to(tmp_path / "nowhere")
    (folder / "P4-23.jpg").unlink()
    (folder / "P4-23.jpg").symlink_to("/dev/zero")
    rejects, _ = convert(root, call)
    assert sorted((r["reason"], r["processid"] or r["member"][-9:]) for r in rejects) == [
        ("empty", "P0-23"),
        ("misplaced-image", "P3-23.jpg"),
        ("misplaced-image", "P4-23.jpg"),
        ("missing-image", "P3-23"),
        ("missing-image", "P4-23"),
        ("oversized", "P2-23"),
        ("truncated-jpeg", "P1-23"),
    ]
    assert specimens(tmp_path / "out", "train") == ["P5-23"]


def test_a_split_of_which_nothing_is_left(tmp_path: Path, call: Run) -> None:
    root = write(tmp_path / "release", GOOD, [replace(image, crc=1) for image in IMAGES])
    rejects, _ = convert(root, call)
    assert len(rejects) == 6
    manifest = read_manifest(tmp_path / "out")
    assert list(manifest.splits["cropped_256"]) == ["validation"]
    assert manifest.splits["metadata"]["train"].rows == 6
    assert "split: train" not in (tmp_path / "out" / "README.md").read_text().split("metadata")[0]


def test_specimens_in_are_specimens_out_and_rejects(tmp_path: Path, run: Run) -> None:
    flaws = [entry for entry, _ in FLAWED.values()]
    rows = [plain(n) for n in range(40)]
    images = [
        replace(flaws[n % len(flaws)], name=member(n).name) if n % 3 == 0 else member(n)
        for n in range(38)
    ]
    root = write(tmp_path / "release", rows, images)
    rejects, _ = convert(root, run, "--shard-size", "8kB")
    files = read_manifest(tmp_path / "out").splits["cropped_256"]["train"]
    assert files.rows + files.rejected == 40
    assert files.rejected == len(rejects) == 15
    assert specimens(tmp_path / "out", "train") == sorted(f"P{n}-23" for n in range(38) if n % 3)


def test_text_that_would_break_yaml_or_markdown_stays_text(tmp_path: Path, call: Run) -> None:
    odd = [
        "---\nconfigs: []\n---",
        "| a | b |",
        "</td>\x1b[31m",
        "{{ x }}",
        "'\"\\",
        "&a *a",
        "\ufeff",
    ]
    rows = [plain(n, **dict.fromkeys(NAMES[1:14], text)) for n, text in enumerate(odd)]
    root = write(tmp_path / "release", rows, [member(n) for n in range(len(odd))])
    call("convert", root, "--output", tmp_path / "out")
    call("verify", tmp_path / "out", "--release", root)
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert not any(text in card for text in odd[2:4])
    table = pq.read_table(next((tmp_path / "out" / "metadata").glob("train-*")))
    assert sorted(table["taxon"].to_pylist()) == sorted(odd)


def test_names_that_lead_out_of_the_folder_lead_nowhere(tmp_path: Path, call: Run) -> None:
    names = [b"../../../../tmp/evil.jpg", b"/etc/evil.jpg", b"..\\evil.jpg", b"C:/evil.jpg"]
    root = write(tmp_path / "release", GOOD, [*IMAGES, *(member(9, name=name) for name in names)])
    rejects, _ = convert(root, call)
    assert {r["member"] for r in rejects} == {name.decode() for name in names}
    assert {path.name for path in tmp_path.iterdir()} == {"release", "out"}


def test_an_error_cannot_paint_on_the_terminal(tmp_path: Path, call: Run) -> None:
    root = write(tmp_path / "release", GOOD, [*IMAGES, member(9, name=b"\x1b[2Jx\n\x07.jpg")])
    error = call("convert", root, "--output", tmp_path / "out", status=1).stderr
    assert "\x1b" not in error
    assert "\x07" not in error
    assert "\\x1b[2Jx" in error
