"""Write ``quickstart.ipynb``, a notebook that shows how to use a dataset folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from bioscan5m_hf.schema.vocabularies import VOCABULARIES_NAME
from conversion.card import making, readme
from conversion.card.front_matter import shown_split
from conversion.card.statistics import Profile
from conversion.folder.manifest import Manifest
from conversion.formats.registry import writer_named

NOTEBOOK_NAME: Final = "quickstart.ipynb"


@dataclass(frozen=True, slots=True)
class _Names:
    """The parts of the notebook that differ between folders; some are Python expressions."""

    dataset: str
    configuration: str
    split: str
    order: str
    image: str
    record: str
    filtered: str
    map: bool


def render_notebook(manifest: Manifest, found: Profile) -> bytes | None:
    """Write the notebook.

    Returns:
        The text of the file, without outputs; ``None`` for a folder without images. The same
        manifest gives the same text.
    """
    shown = shown_split(manifest)
    if shown is None or not manifest.packages:
        return None
    configuration, split = shown
    order = found.orders[0][0] if found.orders else "Diptera"
    writer = writer_named(manifest.format)
    record = writer.record_code
    by_order = f'filters=[("order", "==", {order!r})])'
    names = _Names(
        dataset=manifest.name,
        configuration=configuration,
        split=split,
        order=order,
        image=f'row["{writer.image_column}"]',
        record=record,
        filtered=f"load_dataset(NAME, CONFIGURATION, split=SPLIT, streaming=True, {by_order}"
        if writer.filters
        else f'rows.filter(lambda row: {record}["order"] == {order!r})',
        map=bool(found.sites),
    )
    cells = [_cell(number, kind, text) for number, (kind, text) in enumerate(_cells(names))]
    data = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode()


def _cell(number: int, kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number:02}",
        "metadata": {},
        "source": text.strip("\n").splitlines(keepends=True),
    }
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


def _cells(names: _Names) -> list[tuple[str, str]]:
    return [
        (
            "markdown",
            """
# BIOSCAN-5M in five minutes

Everything here streams: only the rows that you look at are downloaded. It needs
`pip install datasets pillow`.
""",
        ),
        (
            "code",
            f"""
from itertools import islice
from pathlib import Path

from datasets import load_dataset

REPOSITORY = {names.dataset!r}
CONFIGURATION = {names.configuration!r}
SPLIT = {names.split!r}

# This notebook runs in the dataset folder and beside it, and elsewhere from the Hub.
near = [Path(), Path(REPOSITORY), *sorted(Path().glob("*/"))]
here = [folder for folder in near if (folder / "quickstart.ipynb").is_file()]
if not here and "/" not in REPOSITORY:
    raise FileNotFoundError("start this notebook in the dataset folder, or in the folder above it")
NAME = str(here[0].resolve()) if here else REPOSITORY
FILES = NAME if here else f"hf://datasets/{{REPOSITORY}}"

rows = load_dataset(NAME, CONFIGURATION, split=SPLIT, streaming=True)
row = next(iter(rows))
{{name: value for name, value in {names.record}.items() if name != "image"}}
""",
        ),
        ("code", names.image),
        ("markdown", "## Specimens and their taxa"),
        (
            "code",
            f"""
from PIL import Image, ImageDraw, ImageFont

TILE, ACROSS, CAPTION = 160, 6, 40
shown = list(islice(rows, 2 * ACROSS))
lines = -(-len(shown) // ACROSS)
grid = Image.new("RGB", (ACROSS * TILE, lines * (TILE + CAPTION)), "white")
draw = ImageDraw.Draw(grid)
font = ImageFont.load_default(13)
for number, row in enumerate(shown):
    down, right = divmod(number, ACROSS)
    left, top = right * TILE, down * (TILE + CAPTION)
    image = {names.image}.convert("RGB")
    image.thumbnail((TILE - 8, TILE - 8))
    grid.paste(image, (left + (TILE - image.width) // 2, top + (TILE - image.height) // 2))
    order, taxon = ({names.record}[name] for name in ("order", "taxon"))
    draw.text((left + 6, top + TILE), order or "order not known", "black", font)
    draw.text((left + 6, top + TILE + 16), taxon or "", "gray", font)
grid
""",
        ),
        ("markdown", f"## Only one order\n\nHere {making.escaped(names.order)}."),
        (
            "code",
            f"""
some = {names.filtered}
[({names.record}["family"], {names.record}["genus"]) for row in islice(some, 5)]
""",
        ),
        *_map_cells(names),
        (
            "markdown",
            "## The tree of taxa\n\nFor the first specimens: classes inside, then orders, then "
            "families.",
        ),
        (
            "code",
            f"""
from collections import Counter
from itertools import groupby
from math import cos, radians, sin

LEVELS, FIRST, RING = ["class", "order", "family"], 300, 140
counted = Counter(
    tuple({names.record}[level] or "not known" for level in LEVELS) for row in islice(rows, FIRST)
)
middle = RING * len(LEVELS) + 20
tree = Image.new("RGB", (2 * middle, 2 * middle), "white")
draw = ImageDraw.Draw(tree)
# The outermost ring first: each slice covers what lies within it.
for depth in range(len(LEVELS), 0, -1):
    radius, start = RING * depth, 0.0
    for taxa, group in groupby(sorted(counted), key=lambda taxa: taxa[:depth]):
        part = 360 * sum(counted[found] for found in group) / counted.total()
        center = radians(start + part / 2)
        color = f"hsl({{round(start + part / 2)}}, 40%, {{48 + 12 * depth}}%)"
        box = (middle - radius, middle - radius, middle + radius, middle + radius)
        draw.pieslice(box, start, start + part, color, "white", 2)
        if part > 7:
            place = [middle + (radius - RING / 2) * turn(center) for turn in (cos, sin)]
            draw.text(place, taxa[-1], "black", font, "mm")
        start += part
tree
""",
        ),
        (
            "markdown",
            "## Labels\n\n`vocabularies.parquet` numbers the taxa of each rank, in the same way "
            "for all splits.\nA rank without a label is `None`; it gets the label -1.",
        ),
        (
            "code",
            f"""
import pandas as pd

words = pd.read_parquet(f"{{FILES}}/{VOCABULARIES_NAME}")
families = words[words["rank"] == "family"]
label_of = dict(zip(families["value"], families["label"]))
labelled = rows.map(lambda row: {{"label": label_of.get({names.record}["family"], -1)}})
len(label_of), [row["label"] for row in islice(labelled, 10)]
""",
        ),
        ("markdown", "## Batches for a model"),
        (
            "code",
            f"""
import numpy as np


def as_array(row):
    image = {names.image}.convert("RGB").resize((224, 224))
    return {{"pixels": np.asarray(image, dtype=np.float32) / 255, "label": row["label"]}}


arrays = labelled.shuffle(seed=0, buffer_size=50).map(as_array, remove_columns=rows.column_names)
for batch in islice(arrays.batch(8), 3):
    pixels, labels = np.stack(batch["pixels"]), np.array(batch["label"])
    print(pixels.shape, labels)
""",
        ),
    ]


def _map_cells(names: _Names) -> list[tuple[str, str]]:
    if not names.map:
        return []
    text = f"""
import fsspec

with fsspec.open(f"{{FILES}}/{readme.SITES}") as file:
    places = Image.open(file).convert("RGB")
places
"""
    return [("markdown", "## Where they were collected"), ("code", text)]
