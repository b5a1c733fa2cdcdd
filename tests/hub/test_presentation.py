"""Card, pictures, notebook and Croissant of a dataset folder."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bioscan5m_hf.errors import VerificationFailed
from bioscan5m_hf.schema.configurations import configurations
from conversion.card import making, readme
from conversion.card.croissant import render_croissant
from conversion.card.figures.charts import measures, taxonomy
from conversion.card.figures.sites import sites
from conversion.card.figures.specimens import Pick, contact_sheet, pick_specimens
from conversion.card.presentation import write_presentation
from conversion.card.statistics import Profile, RankCount, profile, stored_metadata
from conversion.folder.manifest import Manifest, read_manifest
from conversion.shards.read import read_shard
from conversion.verify.folder import VerifyOptions, verify
from tests import forked
from tests.conftest import Run
from tests.forked import DATASETS
from tests.hub.conftest import NAME

NOTHING = Profile(0, (), (), (0, 0), (0, 0), {}, {}, (), (0, 0), {})


def rows_of(folder: Path, columns: list[str]) -> pa.Table:
    shards = sorted((folder / "metadata").glob("*.parquet"))
    return pa.Table.from_batches(
        [batch for shard in shards for batch in read_shard(shard, columns)]
    )


def test_the_profile_counts_what_is_there(converted: Path) -> None:
    found = profile(stored_metadata(converted, read_manifest(converted)))
    rows = rows_of(converted, ["order", "country", "dna_barcode", "dna_bin", "coord-lat"])
    frame = rows.to_pandas()
    assert found.specimens == len(frame)
    orders = frame["order"].value_counts()
    assert dict(found.orders) == {name: orders[name] for name, _ in found.orders}
    assert sum(n for _, n in found.orders) + found.other_orders[1] == frame["order"].notna().sum()
    assert found.barcodes == (frame["dna_barcode"].nunique(), frame["dna_barcode"].notna().sum())
    assert sum(found.barcode_lengths.values()) == found.barcodes[1]
    bins = next(rank for rank in found.ranks if rank.rank == "dna_bin")
    assert bins == RankCount("dna_bin", frame["dna_bin"].nunique(), frame["dna_bin"].notna().sum())
    assert found.located == frame["coord-lat"].notna().sum()


def test_made_anew_it_is_the_same(converted: Path, tmp_path: Path, call: Run) -> None:
    folder = tmp_path / "bioscan-5m"
    shutil.copytree(converted, folder)
    before = {
        p: p.read_bytes() for p in folder.rglob("*") if p.suffix != ".parquet" and p.is_file()
    }
    for path in (folder / "assets").iterdir():
        path.unlink()
    call("card", folder)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.suffix != ".parquet" and p.is_file()}
    assert after == before
    assert set(readme.PICTURES) < set(read_manifest(folder).extras)
    assert verify(VerifyOptions(folder, 1))[1] == []
    (folder / readme.SITES).write_bytes(b"")
    assert [f for f in verify(VerifyOptions(folder, 1))[1] if readme.SITES in f]


def test_a_name_goes_into_card_and_notebook(converted: Path, tmp_path: Path, call: Run) -> None:
    folder = tmp_path / "bioscan-5m"
    shutil.copytree(converted, folder)
    call("card", folder, "--name", "user/insects")
    assert 'load_dataset("user/insects", "cropped_256"' in (folder / "README.md").read_text()
    assert "user/insects" in (folder / "quickstart.ipynb").read_text()
    call("card", folder)
    assert read_manifest(folder).name == "user/insects"
    call("card", folder, "--name", "insects", status=2)


def test_damaged_metadata_are_told(converted: Path, tmp_path: Path, call: Run) -> None:
    folder = tmp_path / "bioscan-5m"
    shutil.copytree(converted, folder)
    [shard, *_] = stored_metadata(folder, read_manifest(folder))
    data = bytearray(shard.read_bytes())
    data[4 : len(data) // 2] = bytes(len(data) // 2 - 4)
    for damaged in (data, data[:-100], b""):
        shard.write_bytes(damaged)
        told = call("card", folder, status=VerificationFailed.exit_status)
        assert "a shard cannot be read" in told.stderr
    shard.unlink()
    assert shard.name in call("card", folder, status=VerificationFailed.exit_status).stderr


@pytest.mark.parametrize("form", ["arrow", "webdataset"])
def test_every_format_has_one(form: str, small_release: Path, tmp_path: Path, call: Run) -> None:
    folder = tmp_path / "bioscan-5m"
    call("convert", small_release, "--output", folder, "--format", form, "--package", "cropped_256")
    assert set(readme.PICTURES) < set(read_manifest(folder).extras)
    assert verify(VerifyOptions(folder, 1))[1] == []
    found = profile(stored_metadata(folder, read_manifest(folder)))
    assert found.specimens == 80


def test_the_front_matter_is_what_the_hub_asks_for(converted: Path) -> None:
    header = yaml.safe_load((converted / "README.md").read_text().split("---\n")[1])
    assert header["license"] == "cc-by-3.0"
    assert header["pretty_name"] == "BIOSCAN-5M"
    assert [config["config_name"] for config in header["configs"]] == [
        configuration.name for configuration in configurations(["cropped_256"])
    ]
    assert "dataset_info" not in header, "the files carry the features themselves"
    assert header["size_categories"] == ["n<1K"]


HOSTILE = [
    "a|b",
    "<b>x</b>",
    "[x](y)",
    "`x`",
    "line\nbreak",
    "**x**",
    "a_b_c",
    "&amp;",
    "\\| #",
    "$x$",
]


class Shown(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        raise AssertionError(tag, attrs)


@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30)))
def test_text_of_the_data_stays_text(text: str) -> None:
    line = making.escaped(text)
    assert not set(line) & set('|<>[]`*_\n\r\\~$"!{}^=@')
    shown = Shown()
    shown.feed(line)
    shown.close()
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    assert shown.text == " ".join(plain.split())


def test_hostile_countries_do_not_break_the_card(converted: Path) -> None:
    manifest = read_manifest(converted)
    found = dataclasses.replace(
        profile(stored_metadata(converted, manifest)),
        countries=tuple((name, 1) for name in HOSTILE),
    )
    table = [line for line in readme.render(manifest, found).splitlines() if line.startswith("| ")]
    start = table.index("| country | specimens |")
    cells = [line.strip("| ").split(" | ") for line in table[start + 2 : start + 2 + len(HOSTILE)]]
    assert [cell[1] for cell in cells] == ["1"] * len(HOSTILE)


def test_a_hostile_reason_does_not_break_the_card(converted: Path) -> None:
    manifest = read_manifest(converted)
    manifest.rejects = {'")\n```\n<script>alert(1)</script> [x](http://y)\n|': 3}
    card = readme.render(manifest, profile(stored_metadata(converted, manifest)))
    assert "<script>" not in card
    [row] = [line for line in card.splitlines() if "alert" in line]
    assert re.fullmatch(r"\| [^|<>\[\]`]+ \| 3 \|", row)


def test_the_card_tells_of_photographs_what_is_true(converted: Path) -> None:
    manifest = read_manifest(converted)
    specimens = sum(files.rows for files in manifest.splits["metadata"].values())
    assert f"{specimens:,} insects and their kin, each with a photograph" in readme.render(manifest)
    del manifest.splits["cropped_256"]["pretrain"]
    photographed = sum(files.rows for files in manifest.splits["cropped_256"].values())
    told = readme.render(manifest)
    assert (
        f"{specimens:,} insects and their kin, {photographed:,} of them with a photograph" in told
    )
    assert "| split | what it is for | specimens | `cropped_256` |" in told
    del manifest.splits["cropped_256"]
    assert "photograph," not in readme.description(manifest)


def test_labels_are_those_of_the_vocabulary(converted: Path, tmp_path: Path) -> None:
    """Card and notebook, run where a user runs them, label every specimen that has a family."""
    words = pq.read_table(converted / "vocabularies.parquet").to_pylist()
    label_of = {word["value"]: word["label"] for word in words if word["rank"] == "family"}
    folder = tmp_path / "insects of mine"
    shutil.copytree(converted, folder)
    name = read_manifest(folder).name
    cells = json.loads((folder / "quickstart.ipynb").read_text())["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    [card] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    check = "\nimport json; print(json.dumps([[row['family'], row['label']] for row in {}]))".format
    for place, code, rows in (
        (tmp_path, card.replace(f"hf://datasets/{name}", name).replace(name, folder.name), "rows"),
        (folder, "\n".join(codes), "labelled"),
        (tmp_path, "\n".join(codes), "labelled"),
    ):
        done = forked.run("-c", code + check(rows), libraries=DATASETS, cwd=place)
        assert done.returncode == 0, done.stderr
        labelled = json.loads(done.stdout.splitlines()[-1])
        assert len(labelled) == read_manifest(folder).splits["cropped_256"]["train"].rows > 0
        assert all(label == label_of.get(family, -1) for family, label in labelled)


@pytest.mark.parametrize("draw", [taxonomy, measures, sites])
def test_pictures_of_nothing_and_of_much(draw: Callable[[Profile], bytes]) -> None:
    much = Profile(
        12_000_000,
        (RankCount("dna_bin", 324_411, 5_137_441),),
        tuple((f"{'Order' * 9}{n}", 5_000_000 >> n) for n in range(12)),
        (43, 10),
        (2_486_492, 5_150_850),
        {0: 1, 640: 4_000_000, 1600: 1},
        {-8: 1, 30: 5_000_000, 63: 1},
        (),
        (0, 0),
        {(-90, -180): 1, (89, 179): 10**6},
    )
    for found in (NOTHING, much):
        data = draw(found)
        assert data == draw(found)
        with Image.open(io.BytesIO(data)) as picture:
            # The ground is its own, on any page, and has the same corners as the contact sheet.
            for place in ((0, 0), (8, picture.height // 2)):
                assert picture.getpixel(place) == (250, 250, 247)


def test_the_contact_sheet_shows_each_specimen_once(converted: Path) -> None:
    shard = converted / read_manifest(converted).splits["cropped_256"]["train"].shards[0].path
    picks = pick_specimens(shard)
    assert picks == pick_specimens(shard)
    assert len({pick.processid for pick in picks}) == len(picks)
    orders = [("Diptera", 5), ("Nothing", 4)]
    assert contact_sheet([*picks, *picks], orders) == contact_sheet(picks, orders)
    assert contact_sheet([], orders) is None
    assert contact_sheet([Pick("Other", "x", b"")], orders) is None


def test_metadata_alone(converted: Path, tmp_path: Path) -> None:
    whole = read_manifest(converted)
    folder = tmp_path / "bioscan-5m"
    shutil.copytree(converted / "metadata", folder / "metadata")
    manifest = Manifest("parquet", whole.version, splits={"metadata": whole.splits["metadata"]})
    write_presentation(folder, manifest)
    assert readme.SHEET not in manifest.extras
    assert "quickstart.ipynb" not in manifest.extras
    assert "specimens.jpg" not in (folder / "README.md").read_text()


CROISSANT = """
import json, sys, warnings
import mlcroissant as mlc
folder = sys.argv[1]
dataset = mlc.Dataset(jsonld=f"{folder}/croissant.json", mapping={"repo": folder})
assert dataset.metadata.ctx.conforms_to.value.endswith("/1.1")
assert "BOLD" in dataset.metadata.data_collection
assert "sampleid" in dataset.metadata.personal_sensitive_information[0]
issues = dataset.metadata.issues
assert not issues.errors and not issues.warnings, issues.report()
told = {}
for name in ("cropped_256/validation", "metadata/validation"):
    rows = list(dataset.records(name))
    told[name] = [len(rows), sorted(k.split("/")[-1] for k in rows[0])]
    told[name].append([type(r.get(f"{name}/image")).__name__ for r in rows[:1]])
    told[name].append([r[f"{name}/processid"].decode() for r in rows])
print(json.dumps(told))
"""


def test_croissant_is_valid_and_loads(converted: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CROISSANT, str(converted)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    held = read_manifest(converted).splits
    for name, (count, columns, images, processids) in told.items():
        configuration, split = name.split("/")
        assert count == held[configuration][split].rows
        assert ("image" in columns) == (configuration != "metadata")
        assert len(columns) == 23 + ("image" in columns)
        rows = [
            row
            for shard in held[configuration][split].shards
            for batch in read_shard(converted / shard.path, ["processid"])
            for row in batch.column("processid").to_pylist()
        ]
        assert processids == rows
        assert images == (["NoneType"] if configuration == "metadata" else ["JpegImageFile"])


def test_croissant_says_what_the_card_says(converted: Path) -> None:
    found = json.loads((converted / "croissant.json").read_bytes())
    card = " ".join((converted / "README.md").read_text().split())
    said = [value for key, value in found.items() if key.startswith("rai:")]
    assert len(said) == 8
    uses = found["rai:dataUseCases"]
    for text in [text for value in said for text in ([value] if isinstance(value, str) else value)]:
        assert text in card or text in uses
    url = f"https://huggingface.co/datasets/{NAME}"
    repository, *sets = found["distribution"]
    assert (repository["contentUrl"], repository["encodingFormat"]) == (url, "git+https")
    assert all(each["containedIn"] == {"@id": repository["@id"]} for each in sets)


def test_croissant_of_a_folder_that_is_not_published(converted: Path) -> None:
    manifest = read_manifest(converted)
    manifest.name = "bioscan-5m"
    sets = json.loads(render_croissant(manifest))["distribution"]
    assert {each["@type"] for each in sets} == {"cr:FileSet"}
    assert not any("containedIn" in each for each in sets)


def test_the_sheet_is_the_same_of_photographs_that_were_made_small(converted: Path) -> None:
    shard = converted / read_manifest(converted).splits["cropped_256"]["train"].shards[0].path
    picks = pick_specimens(shard)
    small = [found for pick in picks if (found := pick.made_small())]
    assert len(small) == len(picks) > 0
    assert all(max(Image.open(io.BytesIO(pick.photograph)).size) < 256 for pick in small)
    orders = [(order, 1) for order in dict.fromkeys(pick.order for pick in picks)]
    assert contact_sheet(small, orders) == contact_sheet(picks, orders)
