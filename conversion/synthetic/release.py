"""Write a synthetic release in upstream's layout."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError, counted
from bioscan5m_hf.schema.columns import column_names
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_STEM, METADATA_ZIP
from bioscan5m_hf.storage.disk import explained
from conversion.derive.bbox import BBOX_COLUMNS
from conversion.derive.geometry import Box
from conversion.executors.processes import Processes
from conversion.progress import Reached, Unwatched, Watcher
from conversion.synthetic.archives import (
    TREE,
    Member,
    archives,
    members,
    write_tree,
    write_zip,
    zip_entry,
)
from conversion.synthetic.images import draw
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.population import populate, split_counts
from conversion.synthetic.rows import Block, write_rows

_PHOTOGRAPHS_PER_TASK: Final = 4
_TINY_PER_TASK: Final = 256
_ROWS_PER_TASK: Final = 2_048
_TOLD_EVERY: Final = 256  # images


def write_sample(options: SampleOptions, watcher: Watcher | None = None) -> dict[str, int]:
    """Write a synthetic release.

    The metadata is written last, so that a release that was broken off has none.

    Returns:
        How many specimens each split has.

    Raises:
        UsageError: There are fewer specimens than splits.
        OutputError: The folder holds something already, or cannot be written to.
    """
    counts = split_counts(options.specimens)
    root = options.root
    with explained("the folder cannot be made", root, "name a folder that you may write to"):
        root.mkdir(parents=True, exist_ok=True)
        occupant = next(iter(root.iterdir()), None)
    if occupant is not None:
        raise OutputError(
            f"the folder is not empty: it holds {occupant.name!r}",
            where=str(root),
            fix="name a new folder, or empty this one",
        )
    advice = "make room, remove this folder, and run the same command again"
    with (
        explained("the release cannot be written", root, advice),
        tempfile.TemporaryDirectory(dir=root, prefix=".unfinished-") as scratch,
    ):
        _Release(options, watcher or Unwatched(), Path(scratch)).write()
    return counts


class _Release:
    """A release being written; what is not whole yet lies in a folder of its own."""

    def __init__(self, options: SampleOptions, watcher: Watcher, scratch: Path) -> None:
        self._options = options
        self._watcher = watcher
        self._scratch = scratch
        photographs = min(options.specimens, options.distinct)
        self._people, self._forms = populate(options.entropy, options.specimens, photographs)
        self._boxes: list[Box] = []
        # Where the JPEG of each photograph and package lies in a file without a name.
        self._places: list[list[tuple[int, int]]] = []

    def write(self) -> None:
        options = self._options
        self._watcher.say(f"sampling {counted(options.specimens, 'specimen')}")
        workers = Processes(options.workers) if options.workers > 1 else None
        with workers or nullcontext(), tempfile.TemporaryFile(dir=self._scratch) as store:
            run = workers.map if workers else map
            total = len(self._forms)
            with self._watcher.progress("sampling photographs", total, "photographs") as reached:
                for drawn in run(partial(draw, options), self._photographs()):
                    for box, jpegs in drawn:
                        self._boxes.append(box)
                        self._places.append([(store.tell(), store.write(jpeg)) for jpeg in jpegs])
                    reached(len(self._boxes))
            store.flush()
            total = len(options.packages) * options.specimens
            with self._watcher.progress("sampling images", total, "images") as reached:
                self._write_images(store.fileno(), reached)
            with self._watcher.progress("sampling rows", options.specimens, "rows") as reached:
                self._write_metadata(run(partial(write_rows, options), self._blocks()), reached)

    def _photographs(self) -> Iterator[tuple[int, list[str]]]:
        step = _TINY_PER_TASK if self._options.tiny else _PHOTOGRAPHS_PER_TASK
        for start in range(0, len(self._forms), step):
            yield start, self._forms[start : start + step]

    def _blocks(self) -> Iterator[Block]:
        for start in range(0, len(self._people), _ROWS_PER_TASK):
            some = self._people[start : start + _ROWS_PER_TASK]
            yield Block(start, some, [self._boxes[shown] for shown in some["shown"].tolist()])

    def _write_images(self, store: int, reached: Reached) -> None:
        done = 0

        def watched(found: Iterable[Member]) -> Iterator[Member]:
            nonlocal done
            for member in found:
                yield member
                done += member[1] is not None
                if done % _TOLD_EVERY == 0:
                    reached(done)

        def jpeg(package: int, photograph: int) -> bytes:
            start, length = self._places[photograph][package]
            return os.pread(store, length, start)

        layout, root = self._options.layout, self._options.root
        for number, package in enumerate(self._options.packages):
            for name, order in archives(package, self._people, layout, self._options.names):
                found = watched(members(package, self._people, order, partial(jpeg, number)))
                if layout == "folder":
                    write_tree(root, found)
                else:
                    write_zip(self._scratch / name, found)
                    (self._scratch / name).rename(root / name)
        reached(done)

    def _write_metadata(self, written: Iterable[dict[str, bytes]], reached: Reached) -> None:
        """Write the files side by side, then put those that are wanted in their places."""
        # What goes before the first lines, between lines, and behind the last.
        frames = {
            "csv": (",".join(column_names()) + "\n", "", ""),
            "jsonld": ("[\n", ",\n", "\n]"),
            "bbox": ("\t".join(BBOX_COLUMNS) + "\n", "", ""),
        }
        with ExitStack() as stack:
            files = {k: stack.enter_context((self._scratch / k).open("wb")) for k in frames}
            for number, texts in enumerate(written):
                for kind, file in files.items():
                    file.write(frames[kind][min(number, 1)].encode() + texts[kind])
                reached(min((number + 1) * _ROWS_PER_TASK, self._options.specimens))
            for kind, file in files.items():
                file.write(frames[kind][2].encode())
        names = {kind: f"{METADATA_STEM}.{kind}" for kind in ("csv", "jsonld")}
        inside = {kind: f"{TREE}metadata/{kind}/{name}" for kind, name in names.items()}
        if "zip" in self._options.metadata:
            with zipfile.ZipFile(self._scratch / "zip", "w") as archive:
                for kind, name in inside.items():
                    with (
                        (self._scratch / kind).open("rb") as source,
                        archive.open(zip_entry(name), "w", force_zip64=True) as target,
                    ):
                        shutil.copyfileobj(source, target, 1 << 20)
        places = {"bbox": BBOX_NAME, "zip": METADATA_ZIP}
        places |= inside if self._options.layout == "folder" else names
        for kind in dict.fromkeys(("bbox", *self._options.metadata)):
            place = self._options.root / places[kind]
            place.parent.mkdir(parents=True, exist_ok=True)
            (self._scratch / kind).replace(place)
