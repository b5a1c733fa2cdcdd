"""How fast and how faithfully packages are derived, against a loop of Pillow.

    python -m tests.benchmarks.derive --images /path/to/photographs --count 60 --repeat 3

The loop is one process: open, crop, resize with LANCZOS, save. The other side is two processes
that derive by the same boxes. Both read bytes from memory and keep bytes in memory; the two have
the photographs before the clock starts. The two sides take turns, so that both meet the same
machine, and each ratio is the median of those of the turns. Photographs
are brought to the originals' size, 1024 x 768, with detail added, and to about their weight
(upstream's 200 GB are some 39 kB each). The boxes are those of ``--boxes``, upstream's file, or a
spread of the same kind: upstream's real ones are 183 to 418 pixels on their shorter side.

Wall time is what counts where nothing else runs. Where the two processes had less than two
processors to themselves, as the table tells, the wall tells of the machine; the processor's time
then says what two processors would do (twice the ratio). The quality is the PSNR against the full
decode resized by Pillow's LANCZOS, before the JPEG.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from conversion.derive.geometry import Box, resized
from conversion.derive.pixels import Derivation
from conversion.derive.recipe import Recipe, recipe_for
from tests.derive.pictures import jpeg, photograph, psnr

PROCESSES = 2
WIDTH, HEIGHT = 1024, 768
SPREAD = (
    *((339, 208, 533, 493), (208, 247, 554, 634), (316, 29, 734, 688), (327, 324, 581, 553)),
    *((266, 177, 449, 631), (318, 162, 730, 580), (562, 248, 831, 457), (321, 262, 550, 520)),
)

Work = tuple[bytes, tuple[int, int, int, int]]


class Measured(NamedTuple):
    """Seconds for an image."""

    wall: float
    processor: float


def originals(folder: Path | None, count: int) -> list[bytes]:
    """Photographs of the originals' size and weight."""
    paths = sorted(folder.glob("*.jpg")) if folder else []
    pictures = [Image.open(path).convert("RGB") for path in paths]
    whole = [picture for picture in pictures if picture.size == (341, 256)]
    if not whole:
        return [photograph(seed, quality=60) for seed in range(min(count, 12))]
    return [_enlarged(picture, seed) for seed, picture in enumerate(whole)]


def _enlarged(picture: Image.Image, seed: int) -> bytes:
    large = picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    small = np.asarray(picture, np.float32)
    coarse = picture.resize((85, 64), Image.Resampling.BOX).resize(picture.size)
    # The fine structure of the small photograph, laid over the large one in its own scale.
    fine = np.tile(small - np.asarray(coarse, np.float32), (3, 4, 1))[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(seed).normal(0, 1.0, (HEIGHT, WIDTH, 1))
    pixels = np.asarray(large, np.float32) + fine * 0.5 + noise
    return jpeg(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), quality=72)


def read_boxes(path: Path | None) -> list[tuple[int, int, int, int]]:
    if path is None:
        return list(SPREAD)
    with path.open() as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [(int(r["x0"]), int(r["y0"]), int(r["x1"]), int(r["y1"])) for r in rows]


def by_pillow(work: Work, crop: bool) -> bytes:
    image, edges = work
    picture: Image.Image = Image.open(io.BytesIO(image))
    if crop:
        picture = picture.crop(edges)
    small = picture.resize(resized(*picture.size, 256), Image.Resampling.LANCZOS)
    return jpeg(small, quality=75)


def box_of(edges: tuple[int, int, int, int]) -> Box:
    return Box(WIDTH, HEIGHT, *edges)


_held: list[Work] = []


def hold(work: Sequence[Work]) -> None:
    """Give a process the photographs."""
    _held[:] = work


def derive(recipe: Recipe, start: int, limit: int | None = None) -> float:
    """Derive every second image that is held; returns the processor's time in seconds."""
    before = time.process_time()
    derivation = Derivation(recipe)
    for image, edges in _held[start:limit:PROCESSES]:
        box = box_of(edges)
        derivation.make(image, box, box.area_fraction, box.scale_factor)
    return time.process_time() - before


def measure_pillow(work: Sequence[Work], crop: bool) -> Measured:
    wall, processor = time.perf_counter(), time.process_time()
    for item in work:
        by_pillow(item, crop)
    spent = Measured(time.perf_counter() - wall, time.process_time() - processor)
    return Measured(*(seconds / len(work) for seconds in spent))


def measure_derive(pool: ProcessPoolExecutor, recipe: Recipe, count: int) -> Measured:
    wall = time.perf_counter()
    spent = sum(pool.map(derive, [recipe] * PROCESSES, range(PROCESSES)))
    return Measured((time.perf_counter() - wall) / count, spent / count)


def quality(recipe: Recipe, work: Sequence[Work]) -> list[float]:
    """The PSNR of the pixels of each image against Pillow's."""
    derivation = Derivation(recipe)
    found: list[float] = []
    for image, edges in work:
        box = box_of(edges)
        made = derivation.pixels(image, box, box.area_fraction, box.scale_factor)
        whole = Image.open(io.BytesIO(image))
        picture = whole.crop(edges) if recipe.crop else whole
        expected = picture.resize(resized(*picture.size, 256), Image.Resampling.LANCZOS)
        found.append(psnr(Image.fromarray(made), expected))
    return found


def compare(
    pool: ProcessPoolExecutor, recipe: Recipe, work: Sequence[Work], repeat: int
) -> Iterator[str]:
    """The cells of one package."""
    list(pool.map(derive, [recipe] * PROCESSES, range(PROCESSES), [8] * PROCESSES))
    turns = [
        (measure_pillow(work, recipe.crop), measure_derive(pool, recipe, len(work)))
        for _ in range(repeat)
    ]
    median = statistics.median
    yield f"{median(old.wall for old, _ in turns) * 1000:.2f} ms"
    yield f"{median(new.wall for _, new in turns) * 1000:.2f} ms"
    yield f"{median(old.wall / new.wall for old, new in turns):.2f}"
    yield f"{median(new.processor / new.wall for _, new in turns):.2f}"
    yield f"{median(old.processor for old, _ in turns) * 1000:.2f} ms"
    yield f"{median(new.processor for _, new in turns) * 1000:.2f} ms"
    yield f"{median(PROCESSES * old.processor / new.processor for old, new in turns):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="photographs of 341 x 256; else synthetic")
    parser.add_argument("--boxes", type=Path, help="upstream's file of bounding boxes")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    images, edges = originals(options.images, options.count), read_boxes(options.boxes)
    # Every photograph meets every box.
    pairs = [(image, box) for box in edges for image in images]
    work = [pairs[index % len(pairs)] for index in range(options.count)]
    weight = statistics.mean(map(len, images)) / 1000
    title = f"{options.count} images of {weight:.0f} kB, {len(images)} of them different"
    table = Table(title=title, title_justify="left")
    table.add_column("package")
    for column in (
        "Pillow, 1 process",
        "derived, 2 processes",
        "faster",
        "processors had",
        "Pillow, processor",
        "derived, processor",
        "faster on 2 processors",
        "PSNR: least, mean",
    ):
        table.add_column(column, justify="right")
    context = get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=hold, initargs=(work,)) as pool:
        for package in ("cropped_256", "original_256"):
            recipe = recipe_for(package, ["original_full"], bbox=True)
            cells = compare(pool, recipe, work, options.repeat)
            levels = quality(recipe, work[: len(pairs)])
            table.add_row(package, *cells, f"{min(levels):.1f}, {statistics.mean(levels):.1f} dB")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
