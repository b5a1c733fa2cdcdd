"""Every configuration, split, mode and kind of source gives the rows of an independent reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bioscan5m_hf import load_dataset
from bioscan5m_hf.schema.configurations import Configuration, configurations
from tests.conftest import PACKAGES
from tests.reading.conftest import KINDS, Rows, by_id, plain

CONFIGURATIONS = configurations(PACKAGES)


def one_way(kind: str, streaming: bool) -> list[Configuration]:
    """The configurations that hold every split of each package once, and metadata.

    One package is loaded as a whole and the other in parts. Which is which changes with the mode,
    and from one kind of source to the next: each configuration meets each kind and each mode.
    """
    whole = PACKAGES[(KINDS.index(kind) + streaming) % 2]
    return [
        found
        for found in CONFIGURATIONS
        if found.package is None or (found.name == found.package) == (found.package == whole)
    ]


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_configuration(
    kind: str,
    streaming: bool,
    root_of: Any,
    truth: dict[str | None, dict[str, Rows]],
    tmp_path: Path,
) -> None:
    for configuration in one_way(kind, streaming):
        found = load_dataset(
            root_of(kind), configuration.name, streaming=streaming, cache_dir=tmp_path
        )
        held = truth[configuration.package]
        wanted = {split.published: held[split.published] for split in configuration.splits}
        assert list(found) == [split for split, rows in wanted.items() if rows]
        for split, ds in found.items():
            rows = plain(ds)
            assert [list(row) for row in rows[:1]] == [list(row) for row in wanted[split][:1]]
            if kind.startswith("zips-http") and configuration.package:
                # Images come in the order of the archive over a network.
                assert by_id(rows) == by_id(wanted[split])
            else:
                assert rows == wanted[split]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
def test_where_columns_and_labels_together(
    kind: str,
    streaming: bool,
    root_of: Any,
    truth: dict[str | None, dict[str, Rows]],
    tmp_path: Path,
) -> None:
    rows = [row for s in ("train", "validation", "test") for row in truth["cropped_256"][s]]
    orders = sorted({r["order"] for s in truth[None].values() for r in s if r["order"]})
    wanted = [
        {
            "image": row["image"],
            "processid": row["processid"],
            "order": -1 if row["order"] is None else orders.index(row["order"]),
        }
        for row in rows
        if row["species"] is not None and row["coord-lat"] is not None and row["coord-lat"] > 5
    ]
    assert 0 < len(wanted) < len(rows)
    ds = load_dataset(
        root_of(kind),
        split="seen",
        streaming=streaming,
        cache_dir=tmp_path,
        where=[("species", "!=", None), ("coord-lat", ">", 5)],
        columns=["order", "image", "processid"],
        class_labels=["order"],
    )
    assert ds.features["order"].names == orders
    assert by_id(plain(ds)) == by_id(wanted)


@pytest.mark.parametrize("kind", ["zips", "parquet", "arrow", "webdataset"])
@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "prepared"])
def test_a_filter_that_leaves_nothing(
    kind: str, streaming: bool, root_of: Any, tmp_path: Path
) -> None:
    for split in ("val", "seen", "test_unseen+train"):
        ds = load_dataset(
            root_of(kind),
            split=split,
            streaming=streaming,
            cache_dir=tmp_path,
            where=("order", "==", "No such order"),
            class_labels=["family"],
        )
        assert list(ds) == []
        assert next(iter(ds.features)) == "image"
        assert ds.features["family"].num_classes > 1


def test_decoded_images_are_images(root_of: Any, tmp_path: Path) -> None:
    row = next(iter(load_dataset(root_of("zips"), split="val", streaming=True, cache_dir=tmp_path)))
    assert min(row["image"].size) == 256
