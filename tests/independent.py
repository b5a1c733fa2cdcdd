"""A reader of releases that shares no code with the product: zipfile, csv and json only."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

INTEGERS = {"image_measurement_value", "inferred_ranks", "index_bioscan_1M_insect"}
FLOATS = {"coord-lat", "coord-lon", "area_fraction", "scale_factor"}
PUBLISHED = {"val": "validation"}

Row = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Specimen:
    row: Row
    image: bytes | None


def read_rows(path: Path) -> list[Row]:
    """The rows of a csv or JSON-LD file, with upstream's types."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            texts = list(csv.DictReader(file))
    else:
        texts = json.loads(path.read_text("utf-8"))
    return [{name: _typed(name, value) for name, value in text.items()} for text in texts]


def _typed(name: str, text: str) -> str | int | float | None:
    if text == "":
        return None
    if name in INTEGERS:
        return int(float(text))
    return float(text) if name in FLOATS else text


def read_images(root: Path, package: str) -> dict[str, bytes]:
    """Every image of a package, by processid, from zips and from plain files."""
    found: dict[str, bytes] = {}
    for path in sorted(root.rglob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                parts = PurePosixPath(name)
                if f"/images/{package}/" in f"/{name}" and parts.suffix == ".jpg":
                    found[parts.stem] = archive.read(name)
    for path in root.rglob("*.jpg"):
        if f"/images/{package}/" in path.as_posix():
            found[path.stem] = path.read_bytes()
    return found


def read_release(root: Path, package: str | None) -> dict[str, list[Specimen]]:
    """The specimens of each published split, in the order of md5(processid)."""
    rows = read_rows(next(iter(sorted(root.rglob("*metadata.csv"))), None) or _jsonld(root))
    images = read_images(root, package) if package else {}
    splits: dict[str, list[Specimen]] = {}
    for row in sorted(rows, key=lambda row: hashlib.md5(str(row["processid"]).encode()).digest()):
        split = str(row["split"])
        specimen = Specimen(row, images[str(row["processid"])] if package else None)
        splits.setdefault(PUBLISHED.get(split, split), []).append(specimen)
    return splits


def _jsonld(root: Path) -> Path:
    return next(root.rglob("*metadata.jsonld"))
