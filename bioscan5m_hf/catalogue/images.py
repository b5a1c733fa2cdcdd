"""Sort the images of a package, remove repeated ones, and find the specimen of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.catalogue.keys import HASH, order_keys, split_numbers
from bioscan5m_hf.catalogue.runs import RunWriter, SortedRuns
from bioscan5m_hf.catalogue.specimens import (
    Specimens,
    equal_keys,
    same_as_before,
    settle_equal_keys,
)
from bioscan5m_hf.release.image_index import IMAGE_SCHEMA
from bioscan5m_hf.schema.order import Keys, keys_of

Positions = npt.NDArray[np.int64]
NOWHERE: Final = -1
"""The position for an image without a specimen."""

_STRETCH: Final = 1 << 16
_ORPHAN_COLUMNS: Final = ("processid", "source", "folder", "ending")
PLACE_SCHEMA: Final = pa.schema(
    [
        pa.field("folder", pa.int32()) if field.name == "folder" else field
        for field in IMAGE_SCHEMA
        if field.name != "split"
    ]
)
"""The columns stored for each image besides its key; folders are few, so they are numbered."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a package, in the order of their keys.

    Attributes:
        rows: The rows of the images.
        folders: The names of folders; the index is the number of the folder.
    """

    rows: SortedRuns
    folders: tuple[str, ...]

    def choose(self, rows: npt.NDArray[np.bool_] | Positions) -> Images:
        """Select images by a mask or by ascending positions."""
        return Images(self.rows.choose(rows), self.folders)


@dataclass(frozen=True, slots=True)
class Located:
    """Images and the specimens to which they belong.

    Attributes:
        images: The images.
        positions: The position of the specimen of each image, ascending; ``NOWHERE`` for an image
            without one.
        sizes: The plain size of each image in bytes, from the directory.
        sources: The number of the source of each image.
        crcs: The CRC-32 of each image, from the directory of its zip; 0 for a plain file.
    """

    images: Images
    positions: Positions
    sizes: npt.NDArray[np.uint64]
    sources: npt.NDArray[np.int32]
    crcs: npt.NDArray[np.uint32]

    def found(self) -> Located:
        """The images that have a specimen."""
        there = self.positions != NOWHERE
        if there.all():
            return self
        return Located(
            self.images.choose(there),
            self.positions[there],
            self.sizes[there],
            self.sources[there],
            self.crcs[there],
        )

    def orphans(self) -> Images:
        """The images that have no specimen."""
        return self.images.choose(self.positions == NOWHERE)


@dataclass(frozen=True, slots=True)
class Conflict:
    """An image of which several copies exist, and these differ.

    Attributes:
        position: The position of its specimen.
        processid: The processid.
        split: The number of the split.
        sources: The number of the source of each copy, that of the preferred copy first.
        folder: The folder of the preferred copy.
        ending: The number of the ending of the preferred copy.
    """

    position: int
    processid: str
    split: int
    sources: tuple[int, ...]
    folder: str
    ending: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """An image without a specimen in its split.

    Attributes:
        processid: The processid in its name.
        split: The number of the split in the name of its folder.
        source: The number of its source.
        folder: Its folder.
        ending: The number of its ending.
        actual: The number of the split of this specimen in the metadata, if it is there.
    """

    processid: str
    split: int
    source: int
    folder: str
    ending: int
    actual: int | None


@dataclass(frozen=True, slots=True)
class Orphans:
    """Images without a specimen in their split, sorted by key and stored as columns to save memory.

    Attributes:
        places: The processid, source, folder and ending of each.
        splits: The number of the split in the name of each folder.
        actual: The number of the split of each specimen in the metadata, or ``NOWHERE``.
        folders: The names of folders; the index is the number of the folder.
    """

    places: pa.Table
    splits: npt.NDArray[np.int8]
    actual: npt.NDArray[np.int8]
    folders: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.splits)

    def __iter__(self) -> Iterator[Orphan]:
        for start in range(0, len(self), _STRETCH):
            here = slice(start, start + _STRETCH)
            columns = [column.to_pylist() for column in self.places.slice(start, _STRETCH).columns]
            splits, actual = self.splits[here].tolist(), self.actual[here].tolist()
            for name, source, folder, ending, split, other in zip(
                *columns, splits, actual, strict=True
            ):
                placed = None if other == NOWHERE else other
                yield Orphan(name, split, source, self.folders[folder], ending, placed)

    def choose(self, wanted: npt.NDArray[np.bool_]) -> Orphans:
        """Select images by a mask."""
        places = self.places.filter(pa.array(wanted))
        return Orphans(places, self.splits[wanted], self.actual[wanted], self.folders)


def sort_images(batches: Iterable[pa.RecordBatch], path: Path) -> Images:
    """Sort images into the order of specimens.

    Args:
        batches: Record batches of ``IMAGE_SCHEMA``.
        path: The file to write them to.

    Raises:
        OutputError: The file cannot be written.
    """
    folders: dict[str, int] = {}
    with RunWriter(path, PLACE_SCHEMA) as runs:
        for batch in batches:
            encoded = batch["folder"].dictionary_encode()
            numbers = [
                folders.setdefault(name, len(folders)) for name in encoded.dictionary.to_pylist()
            ]
            of_row = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
            columns = {name: batch[name] for name in PLACE_SCHEMA.names}
            columns["folder"] = pa.array(of_row)
            runs.add(
                pa.record_batch(list(columns.values()), schema=PLACE_SCHEMA),
                order_keys(keys_of(batch["processid"]), batch["split"]),
            )
        return Images(runs.finish(), tuple(folders))


def single_images(images: Images, specimens: Specimens) -> tuple[Images, list[Conflict]]:
    """Keep the preferred copy of each image, and drop images whose copies differ.

    An image without a specimen is kept even if its copies differ, because it is an orphan anyway.

    Args:
        images: The images.
        specimens: The specimens.

    Returns:
        The images that are kept, and those whose copies differ, in the order of the specimens.
    """
    repeated = np.flatnonzero(equal_keys(images.rows))
    if not repeated.size:
        return images, []
    rows = images.rows.choose(repeated)
    found = rows.take(
        [
            "processid",
            "rank",
            "source",
            "offset",
            "size",
            "crc",
            "folder",
            "ending",
        ]
    )
    found = found.append_column("key", pa.array(rows.keys))
    by = ("key", "processid", "rank", "source", "offset")
    order = pc.sort_indices(found, [(name, "ascending") for name in by])
    found, repeated = found.take(order), repeated[order.to_numpy()]
    later = same_as_before(found["processid"]) & same_as_before(found["key"])
    firsts = np.flatnonzero(~later)
    keep = np.ones(len(images.rows), np.bool_)
    keep[repeated[later]] = False
    differing = firsts[_differ(found["size"], firsts) | _differ(found["crc"], firsts)]
    conflicts: list[Conflict] = []
    names = found["processid"].take(pa.array(differing))
    positions = find(names, found["key"].to_numpy()[differing], specimens.rows.keys, specimens)
    ends = np.append(firsts, len(later))
    for at, name, position in zip(
        differing.tolist(), names.to_pylist(), positions.tolist(), strict=True
    ):
        if position == NOWHERE:
            continue
        keep[repeated[at]] = False
        stop = int(ends[np.searchsorted(ends, at, side="right")])
        sources = found["source"][at:stop].to_pylist()
        split = int(split_numbers(specimens.rows.keys[position : position + 1])[0])
        folder = images.folders[found["folder"][at].as_py()]
        ending = found["ending"][at].as_py()
        conflicts.append(Conflict(position, name, split, tuple(sources), folder, ending))
    kept = Images(settle_equal_keys(images.rows.choose(keep)), images.folders)
    return kept, sorted(conflicts, key=lambda each: each.position)


def _differ(values: pa.Array, firsts: Positions) -> npt.NDArray[np.bool_]:
    """For each group of rows, which begins at one of ``firsts``, whether its values differ."""
    known = values.is_valid().to_numpy(zero_copy_only=False)
    numbers = values.fill_null(0).to_numpy().astype(np.uint64)
    least = np.minimum.reduceat(np.where(known, numbers, np.iinfo(np.uint64).max), firsts)
    differs: npt.NDArray[np.bool_] = np.maximum.reduceat(numbers, firsts) > least
    return differs


def locate(images: Images, specimens: Specimens) -> Located:
    """Find the specimen of each image.

    Args:
        images: Images without repeated ones.
        specimens: The specimens.
    """
    count = len(images.rows)
    kinds: tuple[type[Any], ...] = (np.int64, np.uint64, np.int32, np.uint32)
    found = Located(images, *(np.empty(count, kind) for kind in kinds))
    for start, batch in images.rows.stretches(_STRETCH, ["processid", "size", "source", "crc"]):
        here = slice(start, start + batch.num_rows)
        keys = images.rows.keys[here]
        found.positions[here] = find(batch["processid"], keys, specimens.rows.keys, specimens)
        found.sizes[here] = batch["size"].to_numpy()
        found.sources[here] = batch["source"].to_numpy()
        found.crcs[here] = batch["crc"].fill_null(0).to_numpy()
    return found


def find(names: pa.Array, keys: Keys, among: Keys, specimens: Specimens) -> Positions:
    """Find specimens by key and processid.

    Args:
        names: The processids to find.
        keys: Their keys.
        among: The keys of the specimens, sorted.
        specimens: The specimens, in the order of ``among``.

    Returns:
        The position of each in ``specimens``; ``NOWHERE`` if it is not there.
    """
    if not len(among):
        return np.full(len(names), NOWHERE, np.int64)
    at = np.searchsorted(among, keys)
    found = np.where(at < len(among), at, NOWHERE)
    found[among[found] != keys] = NOWHERE
    hit = np.flatnonzero(found != NOWHERE)
    if not hit.size:
        return found
    same = pc.equal(
        names.take(pa.array(hit)).cast(pa.large_string()),
        specimens.names.take(pa.array(found[hit])),
    ).to_numpy(zero_copy_only=False)
    for number in hit[~same].tolist():
        # Another specimen has the same key; the right one may follow it.
        stop = int(np.searchsorted(among, keys[number], side="right"))
        wanted = names[number].as_py()
        others = range(int(found[number]) + 1, stop)
        held = (other for other in others if specimens.names[other].as_py() == wanted)
        found[number] = next(held, NOWHERE)
    return found


def list_orphans(images: Images, specimens: Specimens) -> Orphans:
    """List images without a specimen in their split, and the split that has the specimen, if any.

    Args:
        images: The orphans.
        specimens: The specimens.
    """
    count = len(images.rows)
    hashes = specimens.rows.keys & HASH
    order = np.argsort(hashes, kind="stable") if count else np.empty(0, np.int64)
    by_hash = Specimens(specimens.rows, specimens.names.take(pa.array(order)))
    numbers = split_numbers(specimens.rows.keys)[order]
    actual = np.full(count, NOWHERE, np.int8)
    places: list[pa.RecordBatch] = []
    for start, batch in images.rows.stretches(_STRETCH, _ORPHAN_COLUMNS):
        here = slice(start, start + batch.num_rows)
        keys = images.rows.keys[here] & HASH
        found = find(batch["processid"], keys, hashes[order], by_hash)
        there = found != NOWHERE
        actual[here][there] = numbers[found[there]]
        places.append(batch)
    schema = pa.schema([PLACE_SCHEMA.field(name) for name in _ORPHAN_COLUMNS])
    table = pa.Table.from_batches(places, schema)
    return Orphans(table, split_numbers(images.rows.keys).astype(np.int8), actual, images.folders)
