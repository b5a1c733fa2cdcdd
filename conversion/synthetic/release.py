"""Write a synthetic release in upstream's layout."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.schema.columns import column_names
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_STEM, METADATA_ZIP
from bioscan5m_hf.storage.disk import explained
from conversion.derive.bbox import BBOX_COLUMNS
from conversion.derive.geometry import Box
from conversion.executors.processes import Processes
from conversion.synthetic.archives import (
    DATE,
    TREE,
    archives,
    members,
    write_archive,
    write_tree,
)
from conversion.synthetic.images import BodyStore, DrawTask, draw
from conversion.synthetic.options import SampleOptions
from conversion.synthetic.population import populate, split_counts
from conversion.synthetic.rows import RowsTask, write_rows

_PHOTOGRAPHS_PER_TASK: Final = 4
_TINY_PER_TASK: Final = 256
_ROWS_PER_TASK: Final = 2_048
# The cost of one photograph and of one row, in copies of one image.
_DRAWING: Final = 1_500
_TINY_DRAWING: Final = 20
_ROW: Final = 4


def write_sample(
    options: SampleOptions, reached: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Write a synthetic release.

    The metadata is written last, so that a release that was broken off has none.

    Args:
        options: What to write, and where.
        reached: Called with the number of specimens that are finished, again and again.

    Returns:
        How many specimens each split has.

    Raises:
        UsageError: There are fewer specimens than splits.
        OutputError: The folder holds something already, or cannot be written to.
    """
    counts = split_counts(options.specimens)
    _prepare(options.root)
    drawing = _TINY_DRAWING if options.tiny else _DRAWING
    images = len(options.packages) * options.specimens
    effort = options.photographs * drawing + images + options.specimens * _ROW
    spent = 0
    with closing(_work(options, drawing)) as work:
        for step in work:
            before, spent = spent, spent + step
            finished = spent * options.specimens // effort
            if reached and finished > before * options.specimens // effort:
                reached(finished)
    return counts


def _prepare(root: Path) -> None:
    """Make the folder, and make sure that nothing in it can be lost."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        occupant = next(iter(root.iterdir()), None)
    except OSError as error:
        raise OutputError(
            f"the folder cannot be made: {error.strerror}",
            where=str(root),
            fix="name a folder that you may write to",
        ) from error
    if occupant is not None:
        raise OutputError(
            f"the folder is not empty: it holds {occupant.name!r}",
            where=str(root),
            fix="name a new folder, or empty this one",
        )


def _work(options: SampleOptions, drawing: int) -> Generator[int, None, None]:
    """Draw, pack and write down; yields the effort that each step took."""
    people, forms = populate(options.entropy, options.specimens, options.photographs)
    advice = "make room, remove this folder, and run the same command again"
    boxes: list[Box] = []
    with ExitStack() as stack:
        stack.enter_context(explained("the release cannot be written", options.root, advice))
        workers = Processes(options.workers) if options.workers > 1 else None
        run = stack.enter_context(workers).map if workers else map
        store = stack.enter_context(BodyStore(options.root))
        for some in run(draw, _draw_tasks(options, forms)):
            for box, bodies in some:
                boxes.append(box)
                store.add(bodies)
            yield drawing * len(some)
        for number, package in enumerate(options.packages):
            for name, order in archives(package, people, options.layout, options.names):
                found = members(package, people, order, partial(store.read, number))
                if options.layout == "folder":
                    steps = write_tree(options.root, found)
                else:
                    steps = write_archive(options.root / name, found)
                for _ in steps:
                    yield 1
        scratch = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=options.root, prefix=".metadata-"))
        )
        written = run(write_rows, _rows_tasks(options, people, boxes))
        yield from _write_metadata(options, scratch, written)


def _draw_tasks(options: SampleOptions, forms: list[str]) -> Iterator[DrawTask]:
    step = _TINY_PER_TASK if options.tiny else _PHOTOGRAPHS_PER_TASK
    for start in range(0, len(forms), step):
        some = forms[start : start + step]
        yield DrawTask(options.entropy, start, some, options.packages, options.tiny)


def _rows_tasks(
    options: SampleOptions, people: NDArray[Any], boxes: list[Box]
) -> Iterator[RowsTask]:
    for start in range(0, options.specimens, _ROWS_PER_TASK):
        some = people[start : start + _ROWS_PER_TASK]
        shown = [boxes[number] for number in some["shown"].tolist()]
        yield RowsTask(options.entropy, options.specimens, start, some, shown)


def _write_metadata(
    options: SampleOptions, scratch: Path, written: Iterable[dict[str, bytes]]
) -> Iterator[int]:
    """Write the files side by side, then put those that are wanted in their places."""
    # What goes before the first lines, between lines, and behind the last.
    frames = {
        "csv": (",".join(column_names()) + "\n", "", ""),
        "jsonld": ("[\n", ",\n", "\n]"),
        "bbox": ("\t".join(BBOX_COLUMNS) + "\n", "", ""),
    }
    with ExitStack() as stack:
        files = {kind: stack.enter_context((scratch / kind).open("wb")) for kind in frames}
        for number, texts in enumerate(written):
            for kind, file in files.items():
                file.write(frames[kind][min(number, 1)].encode() + texts[kind])
            yield _ROW * min(_ROWS_PER_TASK, options.specimens - number * _ROWS_PER_TASK)
        for kind, file in files.items():
            file.write(frames[kind][2].encode())
    names = {kind: f"{METADATA_STEM}.{kind}" for kind in ("csv", "jsonld")}
    inside = {kind: f"{TREE}metadata/{kind}/{name}" for kind, name in names.items()}
    if "zip" in options.metadata:
        with zipfile.ZipFile(scratch / "zip", "w") as archive:
            for kind, name in inside.items():
                member = zipfile.ZipInfo(name, DATE)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.external_attr = 0o100644 << 16
                with (
                    (scratch / kind).open("rb") as source,
                    archive.open(member, "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target, 1 << 20)
    in_tree = options.layout == "folder"
    places = {"bbox": BBOX_NAME, "zip": METADATA_ZIP} | (inside if in_tree else names)
    for kind in dict.fromkeys(("bbox", *options.metadata)):
        place = options.root / places[kind]
        place.parent.mkdir(parents=True, exist_ok=True)
        (scratch / kind).replace(place)
