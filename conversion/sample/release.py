"""Writes a synthetic release in upstream's layout."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bioscan5m_hf.errors import OutputError
from conversion.sample.allocation import split_counts
from conversion.sample.archives import archives, write_archive, write_tree
from conversion.sample.metadata import joined, write_metadata
from conversion.sample.options import SampleOptions, SampleSummary
from conversion.sample.portraits import draw_all
from conversion.sample.roll import Roll, call_roll
from conversion.sample.store import BodyStore
from conversion.sample.workers import open_workers

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
        OutputError: The folder holds something already, or cannot be made.
    """
    _prepare(options.root)
    drawing = _TINY_DRAWING if options.tiny else _DRAWING
    images = len(options.wanted) * options.specimens
    effort = options.portraits * drawing + images + options.specimens * _ROW
    progress = _Progress(options.specimens, effort, advance)
    with ExitStack() as stack:
        workers = stack.enter_context(open_workers(options.workers))
        roll = call_roll(options.seed, options.specimens, options.portraits)
        stores = {
            package.name: stack.enter_context(BodyStore(options.root)) for package in options.wanted
        }
        pieces = []
        for piece in draw_all(options, roll.forms[: options.portraits], workers, stores):
            pieces.append(piece)
            progress.add(len(piece.boxes) * drawing)
        _write_images(options, roll, stores, progress)
        for written in write_metadata(options, roll, joined(pieces), workers):
            progress.add(written * _ROW)
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


def _write_images(
    options: SampleOptions, roll: Roll, stores: dict[str, BodyStore], progress: _Progress
) -> None:
    for package in options.wanted:
        store = stores[package.name]
        if options.layout == "folder":
            for _ in write_tree(options.root, package.name, roll, store):
                progress.add(1)
            continue
        for archive in archives(
            package,
            roll,
            layout=options.layout,
            names=options.names,
            mean_size=store.mean_size(),
        ):
            path = options.root / archive.name
            for written in write_archive(path, package.name, roll, archive.members, store):
                progress.add(written)


class _Progress:
    """Turns effort spent into specimens finished."""

    def __init__(self, specimens: int, effort: int, advance: Callable[[int], None] | None) -> None:
        self._specimens = specimens
        self._effort = effort
        self._advance = advance
        self._spent = 0
        self._told = 0

    def add(self, effort: int) -> None:
        self._spent += effort
        finished = self._spent * self._specimens // self._effort
        if self._advance is not None and finished > self._told:
            self._advance(finished - self._told)
            self._told = finished
