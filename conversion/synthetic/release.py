"""Write a synthetic release in upstream's layout."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError
from bioscan5m_hf.schema.columns import column_names
from bioscan5m_hf.schema.upstream import BBOX_NAME, METADATA_STEM, METADATA_ZIP
from bioscan5m_hf.storage.disk import explained
from conversion.derive.bbox import BBOX_COLUMNS
from conversion.derive.geometry import Box
from conversion.executors.processes import Processes
from conversion.synthetic.archives import TREE, archives, write_archive, write_tree
from conversion.synthetic.images import BodyStore, DrawTask, draw
from conversion.synthetic.options import SampleOptions, SampleSummary
from conversion.synthetic.population import Population, populate, split_counts
from conversion.synthetic.rows import RowsTask, Texts, write_rows
from conversion.synthetic.zip_writer import DATE

_PHOTOGRAPHS_PER_TASK: Final = 4
_TINY_PER_TASK: Final = 256
_ROWS_PER_TASK: Final = 2_048
# The cost of one photograph and of one row, in copies of one image.
_DRAWING: Final = 1_500
_TINY_DRAWING: Final = 20
_ROW: Final = 4


def write_sample(
    options: SampleOptions, advance: Callable[[int], None] | None = None
) -> SampleSummary:
    """Write a synthetic release.

    The metadata is written last, so that a release that was broken off has none.

    Args:
        options: What to write, and where.
        advance: Called with the number of specimens that were finished since the last call;
            the numbers add up to all of them.

    Returns:
        What was written.

    Raises:
        OutputError: The folder holds something already, or cannot be written to.
    """
    _prepare(options.root)
    drawing = _TINY_DRAWING if options.tiny else _DRAWING
    images = len(options.wanted) * options.specimens
    effort = options.photographs * drawing + images + options.specimens * _ROW
    spent = reached = 0
    with closing(_work(options, drawing)) as work:
        for step in work:
            spent += step
            finished = spent * options.specimens // effort
            if advance and finished > reached:
                advance(finished - reached)
                reached = finished
    files = [path for path in options.root.rglob("*") if path.is_file()]
    return SampleSummary(
        files=len(files),
        size=sum(path.stat().st_size for path in files),
        specimens=split_counts(options.specimens),
        images={package.name: options.specimens for package in options.wanted},
    )


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


def _writing(root: Path) -> AbstractContextManager[None]:
    return explained(
        "the release cannot be written",
        root,
        "make room, remove this folder, and run the same command again",
    )


def _work(options: SampleOptions, drawing: int) -> Generator[int, None, None]:
    """Draw, pack and write down; yields the effort that each step took."""
    people = populate(options.entropy, options.specimens, options.photographs)
    packages = tuple(package.name for package in options.wanted)
    boxes: list[Box] = []
    pixels: list[int] = []
    with ExitStack() as stack, _writing(options.root):
        workers = Processes(options.workers) if options.workers > 1 else None
        run = stack.enter_context(workers).map if workers else map
        store = stack.enter_context(BodyStore(options.root, packages))
        for some in run(draw, _draw_tasks(options, people, packages)):
            for drawn in some:
                boxes.append(drawn.box)
                pixels.append(drawn.pixels)
                store.add(drawn.bodies)
            yield drawing * len(some)
        for package in options.wanted:
            if options.layout == "folder":
                yield from write_tree(options.root, package.name, people, store)
                continue
            size = store.mean_size(package.name)
            for name, members in archives(package, people, options.layout, options.names, size):
                path = options.root / name
                yield from write_archive(path, package.name, people, members, store)
        tasks = _rows_tasks(options, people, boxes, pixels)
        with tempfile.TemporaryDirectory(dir=options.root, prefix=".metadata-") as scratch:
            yield from _write_metadata(options, Path(scratch), run(write_rows, tasks))


def _draw_tasks(
    options: SampleOptions, people: Population, packages: tuple[str, ...]
) -> Iterator[DrawTask]:
    step = _TINY_PER_TASK if options.tiny else _PHOTOGRAPHS_PER_TASK
    for start in range(0, options.photographs, step):
        forms = tuple(people.forms[start : start + step])
        yield DrawTask(options.entropy, start, forms, packages, options.tiny)


def _rows_tasks(
    options: SampleOptions, people: Population, boxes: list[Box], pixels: list[int]
) -> Iterator[RowsTask]:
    for start in range(0, options.specimens, _ROWS_PER_TASK):
        some = slice(start, start + _ROWS_PER_TASK)
        shown = people.photographs[some].tolist()
        processids = [name.decode("ascii") for name in people.processids[some].tolist()]
        yield RowsTask(
            options.entropy,
            options.specimens,
            start,
            processids,
            people.splits[some].tolist(),
            [people.chunk(start + at) for at in range(len(shown))],
            people.lineages[some],
            [boxes[number] for number in shown],
            [pixels[number] for number in shown],
        )


def _write_metadata(
    options: SampleOptions, scratch: Path, written: Iterable[Texts]
) -> Iterator[int]:
    """Write the files side by side, then put those that are wanted in their places."""
    packed = "zip" in options.metadata
    kinds = [kind for kind in ("csv", "jsonld") if packed or kind in options.metadata]
    # What goes before the first lines, between lines, and behind the last.
    frames = {
        "csv": (",".join(column_names()) + "\n", "", ""),
        "jsonld": ("[\n", ",\n", "\n]"),
        "bbox": ("\t".join(BBOX_COLUMNS) + "\n", "", ""),
    }
    with ExitStack() as stack:
        files = {
            kind: stack.enter_context((scratch / kind).open("wb")) for kind in (*kinds, "bbox")
        }
        for number, texts in enumerate(written):
            for kind, file in files.items():
                file.write(frames[kind][min(number, 1)].encode() + getattr(texts, kind))
            yield _ROW * texts.specimens
        for kind, file in files.items():
            file.write(frames[kind][2].encode())
    names = {kind: f"{METADATA_STEM}.{kind}" for kind in kinds}
    inside = {kind: f"{TREE}metadata/{kind}/{name}" for kind, name in names.items()}
    if packed:
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
