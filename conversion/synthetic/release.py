"""Write a synthetic release in upstream's layout."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from bioscan5m_hf.errors import OutputError, counted
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_STEM, METADATA_ZIP
from bioscan5m_hf.storage.disk import explained
from conversion.executors.processes import Processes
from conversion.executors.start import exit_second_run
from conversion.progress import Reached, SilentWatcher, Watcher
from conversion.synthetic.archives import TREE, archives, members, write_zip, zip_entry
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.photograph import Drawn, draw
from conversion.synthetic.population import populate, split_counts
from conversion.synthetic.rows import Block, write_rows

# How many photographs one task draws, and how many rows one task writes.
_DRAWN: Final = 8
_WRITTEN: Final = 2_048
_TOLD_EVERY: Final = 256  # images


def write_sample(options: SampleOptions, watcher: Watcher | None = None) -> dict[str, int]:
    """Write a synthetic release.

    The metadata are written last, so that an interrupted release has none.

    Returns:
        How many specimens each split has.

    Raises:
        UsageError: There are fewer specimens than splits.
        OutputError: The folder is not empty, or cannot be written to.
    """
    # Otherwise a worker that runs the main script again would report that the folder is not empty.
    exit_second_run()
    counts = split_counts(options.specimens)
    root = options.root
    with explained("the folder cannot be made", root, "name a folder that you may write to"):
        root.mkdir(parents=True, exist_ok=True)
        _require_empty(root)
    advice = "make room, remove this folder, and run the same command again"
    with (
        explained("the release cannot be written", root, advice),
        tempfile.TemporaryDirectory(dir=root, prefix=".unfinished-") as scratch,
    ):
        # Another process may write a release into the same folder.
        _require_empty(root, Path(scratch))
        _write(options, watcher or SilentWatcher(), Path(scratch))
    return counts


def _require_empty(root: Path, scratch: Path | None = None) -> None:
    """Check that a folder is empty, except for the folder of this run's unfinished files.

    Raises:
        OutputError: It is not empty.
    """
    for occupant in root.iterdir():
        if occupant != scratch:
            raise OutputError(
                f"the folder is not empty: it holds {occupant.name!r}",
                where=str(root),
                fix="name a new folder, or empty this one",
            )


def _write(options: SampleOptions, watcher: Watcher, scratch: Path) -> None:
    """Write a release; unfinished files lie in ``scratch``."""
    specimens, photographs = options.specimens, min(options.specimens, options.distinct)
    watcher.say(f"sampling {counted(specimens, 'specimen')}")
    people, forms = populate(options.seed, specimens, photographs)
    drawn: list[Drawn] = []
    workers = Processes(options.workers) if options.workers > 1 else None
    with workers or nullcontext():
        run = workers.map if workers else map
        tasks = ((at, forms[at : at + _DRAWN]) for at in range(0, photographs, _DRAWN))
        with watcher.progress("sampling photographs", photographs, "photographs") as reached:
            for made in run(partial(draw, options), tasks):
                drawn += made
                reached(len(drawn))
        total = len(options.packages) * specimens
        with watcher.progress("sampling images", total, "images") as reached:
            _write_images(options, scratch, people, drawn, reached)
        some = ((at, people[at : at + _WRITTEN]) for at in range(0, specimens, _WRITTEN))
        blocks = (Block(at, rows, [drawn[n].box for n in rows["shown"]]) for at, rows in some)
        with watcher.progress("sampling rows", specimens, "rows") as reached:
            for number, texts in enumerate(run(partial(write_rows, options), blocks), start=1):
                for kind, text in texts.items():
                    with (scratch / kind).open("ab") as file:
                        file.write(text)
                reached(min(number * _WRITTEN, specimens))
    _place_metadata(options, scratch)


def _write_images(
    options: SampleOptions,
    scratch: Path,
    people: NDArray[Any],
    drawn: list[Drawn],
    reached: Reached,
) -> None:
    done = 0

    def jpeg(package: int, photograph: int) -> bytes:
        nonlocal done
        done += 1
        if done % _TOLD_EVERY == 0:
            reached(done)
        return drawn[photograph].jpegs[package]

    for number, package in enumerate(options.packages):
        for name, order in archives(package, people, options):
            archive = scratch / name
            write_zip(archive, members(package, people, order, partial(jpeg, number)))
            if options.layout == "folder":
                shutil.unpack_archive(archive, options.root)
                archive.unlink()
            else:
                archive.rename(options.root / name)
    reached(done)


def _place_metadata(options: SampleOptions, scratch: Path) -> None:
    """Move the requested metadata files to their places, and add them to a zip if requested."""
    names = {kind: f"{METADATA_STEM}.{kind}" for kind in ("csv", "jsonld")}
    inside = {kind: f"{TREE}/metadata/{kind}/{name}" for kind, name in names.items()}
    if "zip" in options.metadata:
        with zipfile.ZipFile(scratch / "zip", "w") as archive:
            for kind, name in inside.items():
                with (
                    (scratch / kind).open("rb") as source,
                    archive.open(zip_entry(name), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
    places = {"bbox": BBOX_NAME, "zip": METADATA_ZIP}
    places |= inside if options.layout == "folder" else names
    for kind in dict.fromkeys(("bbox", *options.metadata)):
        place = options.root / places[kind]
        place.parent.mkdir(parents=True, exist_ok=True)
        (scratch / kind).replace(place)
