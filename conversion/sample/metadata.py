"""The metadata files of a release, written in one pass over its specimens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from bioscan5m_hf.schema.columns import column_names
from conversion.sample.archives import TREE
from conversion.sample.options import SampleOptions
from conversion.sample.records import BBOX_COLUMNS, Frames, Task, write_down
from conversion.sample.roll import Roll
from conversion.sample.workers import Workers
from conversion.sample.zipwriter import ZipWriter

STEM: Final = "BIOSCAN_5M_Insect_Dataset_metadata"
BBOX_NAME: Final = "BIOSCAN_5M_Insect_bbox.tsv"
ZIP_NAME: Final = "BIOSCAN_5M_Insect_Dataset_metadata_MultiTypes.zip"

_PER_TASK: Final = 2_048
_KINDS: Final = ("csv", "jsonld")


def write_metadata(
    options: SampleOptions, roll: Roll, frames: Frames, workers: Workers
) -> Iterator[int]:
    """Write the metadata files that are asked for, and the bounding boxes.

    Args:
        options: The release.
        roll: Its specimens.
        frames: The frames of its photographs.
        workers: Who writes.

    Yields:
        How many specimens more are written down.
    """
    packed = "zip" in options.metadata
    kinds = [kind for kind in _KINDS if packed or kind in options.metadata]
    places = {kind: _place(options, kind) for kind in kinds} | {"bbox": options.root / BBOX_NAME}
    partial = {kind: path.with_name(f".{path.name}.partial") for kind, path in places.items()}
    try:
        with ExitStack() as stack:
            files: dict[str, BinaryIO] = {}
            for kind, path in partial.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                files[kind] = stack.enter_context(path.open("wb"))
            yield from _stream(options, roll, frames, workers, files)
        if packed:
            _pack(options.root / ZIP_NAME, {kind: partial[kind] for kind in kinds})
        for kind, path in partial.items():
            if kind == "bbox" or kind in options.metadata:
                path.replace(places[kind])
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _place(options: SampleOptions, kind: str) -> Path:
    name = f"{STEM}.{kind}"
    if options.layout == "folder" and kind in options.metadata:
        return options.root / TREE / "metadata" / kind / name
    return options.root / name


def _stream(
    options: SampleOptions,
    roll: Roll,
    frames: Frames,
    workers: Workers,
    files: dict[str, BinaryIO],
) -> Iterator[int]:
    files["bbox"].write(("\t".join(BBOX_COLUMNS) + "\n").encode())
    if "csv" in files:
        files["csv"].write((",".join(column_names()) + "\n").encode())
    starts = range(0, options.specimens, _PER_TASK)
    between = b"[\n"
    for start, texts in zip(
        starts, workers.map(write_down, _tasks(options, roll, frames)), strict=True
    ):
        files["bbox"].write(texts.bbox)
        if "csv" in files:
            files["csv"].write(texts.csv)
        if "jsonld" in files:
            files["jsonld"].write(between + texts.jsonld)
            between = b",\n"
        yield min(_PER_TASK, options.specimens - start)
    if "jsonld" in files:
        files["jsonld"].write(b"\n]")


def _tasks(options: SampleOptions, roll: Roll, frames: Frames) -> Iterator[Task]:
    for start in range(0, options.specimens, _PER_TASK):
        portraits = roll.portraits[start : start + _PER_TASK]
        shown = Frames(frames.size, frames.boxes[portraits], frames.pixels[portraits])
        yield Task(options.seed, options.specimens, start, shown)


def _pack(path: Path, sources: dict[str, Path]) -> None:
    with ZipWriter(path) as archive:
        archive.add_folder(TREE)
        archive.add_folder(f"{TREE}metadata/")
        for kind, source in sources.items():
            archive.add_folder(f"{TREE}metadata/{kind}/")
            archive.add_file(f"{TREE}metadata/{kind}/{STEM}.{kind}", source)


def joined(pieces: list[Frames]) -> Frames:
    """Put the frames of successive photographs together.

    Args:
        pieces: At least one.
    """
    return Frames(
        pieces[0].size,
        np.concatenate([piece.boxes for piece in pieces]),
        np.concatenate([piece.pixels for piece in pieces]),
    )
