"""Decode the images of a dataset in batches, on threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from bioscan5m_hf.errors import ImageError, MissingDependency, UnknownName, UsageError
from bioscan5m_hf.jpeg import HAVE_OPENCV, Pixels, decode_jpeg
from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.columns import IMAGE_COLUMN

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, IterableDataset

OUTPUTS: Final = ("numpy", "pil", "torch")

_BATCH: Final = 64
# One future per image costs more than it gains; with one per thread, some threads become idle.
_TASKS_PER_THREAD: Final = 4

_Encoded = tuple[bytes | memoryview, str]


def iter_images(
    ds: Dataset | IterableDataset,
    batch_size: int = _BATCH,
    threads: int | None = None,
    size: int | None = None,
    output: str = "numpy",
) -> Iterator[dict[str, list[Any]]]:
    """Iterate over a dataset in batches, and decode their images on threads.

        for batch in iter_images(ds, batch_size=256, size=224):
            batch["image"], batch["species"]

    Args:
        ds: A dataset from ``load_dataset``, map-style or streaming, with a column ``image``.
        batch_size: How many rows a batch has; the last may have fewer.
        threads: How many threads decode; by default one for each processor.
        size: Scale each image so that its shorter side has this many pixels. The decoder does most
            of the scaling, which is faster than decoding at full size. By default images keep their
            size.
        output: ``"numpy"``: arrays of uint8, height x width x 3, RGB. ``"pil"``: RGB images of
            Pillow. ``"torch"``: tensors of uint8, 3 x height x width.

    Yields:
        Batches in the order of the dataset: the values of each column as a list, and in ``image``
        the decoded images. While one batch is used, the next is decoded; at most two are in memory.

    Raises:
        UsageError: There is no column of images, or an option is out of range.
        UnknownName: There is no such output.
        MissingDependency: The output is ``"torch"``, and torch is not installed.
        ImageError: An image cannot be decoded.
    """
    if batch_size < 1 or (threads is not None and threads < 1) or (size is not None and size < 1):
        raise UsageError("batch_size, threads and size are positive numbers")
    finish = finisher(output)
    rows = without_decoding(ds).with_format("arrow")
    return _batches(rows, batch_size, threads or processors(), size, finish)


def _batches(
    rows: Any,
    batch_size: int,
    threads: int,
    size: int | None,
    finish: Callable[[Pixels], Any],
) -> Iterator[dict[str, list[Any]]]:
    step = -(-batch_size // (_TASKS_PER_THREAD * threads))

    def decode(images: list[_Encoded]) -> list[Any]:
        return [finish(decode_jpeg(image, size, name)) for image, name in images]

    with ThreadPoolExecutor(threads, thread_name_prefix="bioscan5m-decode") as pool:
        before: tuple[dict[str, list[Any]], list[Future[list[Any]]]] | None = None
        try:
            for table in itertools.chain(rows.iter(batch_size=batch_size), [None]):
                now = None
                if table is not None:
                    images = _encoded(table[IMAGE_COLUMN])
                    tasks = [
                        pool.submit(decode, images[start : start + step])
                        for start in range(0, len(images), step)
                    ]
                    others = table.drop_columns([IMAGE_COLUMN]).to_pydict()
                    now = {name: others.get(name, []) for name in table.column_names}, tasks
                    del images, table
                if before is not None:
                    columns, tasks = before
                    columns[IMAGE_COLUMN] = [image for task in tasks for image in task.result()]
                    del tasks
                    yield columns
                before = now
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _encoded(column: pa.ChunkedArray) -> list[_Encoded]:
    """The bytes of each image, not copied from Arrow's memory, and its name."""
    found: list[_Encoded] = []
    for chunk in column.chunks:
        paths = chunk.field("path").to_pylist()
        for data, path in zip(chunk.field("bytes"), paths, strict=True):
            buffer = data.as_buffer()
            if buffer is None:
                # The path in a row may name any file of this machine, so it is never opened.
                raise ImageError("the bytes of the image are missing", where=path or "a row")
            found.append((memoryview(buffer).cast("B"), path or "an image"))
    return found


def without_decoding(ds: Any) -> Any:
    """Make a dataset give the bytes of its images instead of decoding them.

    Raises:
        UsageError: There is no column of images.
    """
    import datasets

    found = (ds.features or {}).get(IMAGE_COLUMN)
    if not isinstance(found, datasets.Image):
        raise UsageError(
            f"the dataset has no column {IMAGE_COLUMN!r} of images",
            fix="load a configuration other than metadata, with its images",
        )
    return ds.cast_column(IMAGE_COLUMN, datasets.Image(decode=False))


def finisher(output: str) -> Callable[[Pixels], Any]:
    """Give the function that converts decoded pixels to an output form.

    Args:
        output: One of ``OUTPUTS``.

    Raises:
        UnknownName: There is no such output.
        MissingDependency: The output is ``"torch"``, and torch is not installed.
    """
    if output == "numpy":
        return lambda pixels: pixels
    if output == "pil":
        return Image.fromarray
    if output != "torch":
        raise UnknownName.of("output", output, OUTPUTS)
    try:
        import torch
    except ImportError as error:
        raise MissingDependency(
            "torch is not installed", fix="install it with: pip install torch"
        ) from error

    def to_tensor(pixels: Pixels) -> Any:
        # Copy colour by colour, as a batch is laid out, because stacking transposed views takes
        # longer than this copy. The copy is also writable.
        height, width, colours = pixels.shape
        planes = np.empty((colours, height, width), np.uint8)
        to_planes(pixels, planes)
        return torch.from_numpy(planes)

    return to_tensor


def to_planes(pixels: Pixels, planes: Pixels) -> None:
    """Copy an image colour by colour.

    Args:
        pixels: The image, height x width x 3.
        planes: The target, 3 x height x width, contiguous.
    """
    if HAVE_OPENCV:
        import cv2

        # This takes a fifth of the time of NumPy.
        cv2.split(pixels, list(planes))
    else:
        np.copyto(planes, pixels.transpose(2, 0, 1))
