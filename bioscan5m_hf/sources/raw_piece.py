"""Read rows of a raw release, with their images from zips or from an unpacked tree."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bioscan5m_hf.errors import ImageError
from bioscan5m_hf.query.choice import Choice, Numbers
from bioscan5m_hf.readers.base import Encoded, ImageReader, Piece
from bioscan5m_hf.release.image import name_of, read_image
from bioscan5m_hf.release.image_index import LOCATION_COLUMNS
from bioscan5m_hf.release.zip_member import MEANINGS, FlawedImage
from bioscan5m_hf.schema.columns import IMAGE_COLUMN, image_type
from bioscan5m_hf.storage.local import Source
from bioscan5m_hf.storage.open import open_location
from bioscan5m_hf.storage.path import Location, RemotePath
from bioscan5m_hf.storage.prefetch import HeldPart
from bioscan5m_hf.storage.ranges import Limits, requests_in_order

# The first row waits for a whole stretch, so a stretch is only as long as a network makes useful.
_LIMITS: Final = Limits(window=4 << 20, request=4 << 20)
_STRETCH_ROWS: Final = 500
_LOCAL: Final = -1
# The local header of a member, with room for its name and extra fields.
_HEADER_BYTES: Final = 30 + 192

_log = logging.getLogger("bioscan5m_hf")


@dataclass(frozen=True, slots=True)
class RawPiece:
    """One row group of a plan.

    Attributes:
        plan: The Parquet file of the plan.
        group: The number of the row group.
        sources: The archives and folders, by their numbers in the plan.
        labels: Their names in messages.
        image: Whether the configuration has images.
        skip: Leave out flawed images, and warn, instead of stopping.
    """

    plan: Path
    group: int
    sources: tuple[Location, ...] = ()
    labels: tuple[str, ...] = ()
    image: bool = True
    skip: bool = False

    def read(self, choice: Choice) -> Iterator[pa.Table]:
        """Read the requested rows; images of other rows are not read."""
        names = dict.fromkeys((*choice.deciding, *choice.plain))
        images = self.image and choice.image
        if images:
            names |= dict.fromkeys(("processid", *LOCATION_COLUMNS))
        with pq.ParquetFile(self.plan, memory_map=True) as file:
            table = file.read_row_group(self.group, columns=list(names), use_threads=False)
        if choice.deciding:
            table = table.take(pa.array(choice.rows(table)))
        if not table.num_rows:
            return
        if not images:
            yield table.select(list(choice.columns))
            return
        for chosen, found in self._with_images(table):
            column = pa.array(found, image_type())
            yield chosen.append_column(IMAGE_COLUMN, column).select(list(choice.columns))

    def divide(self) -> list[Piece]:
        """The piece itself, because a row group is not divided."""
        return [self]

    def open_images(self) -> ImageReader:
        """Open the data for reading images of single rows; their checksums are checked."""
        return _Images(self)

    def places(self) -> pa.Table:
        """The processid and the location of the image of each row."""
        with pq.ParquetFile(self.plan, memory_map=True) as file:
            names = ["processid", *LOCATION_COLUMNS]
            return file.read_row_group(self.group, columns=names, use_threads=False)

    def images(self, places: pa.Table) -> list[Encoded]:
        """Read the images of some rows.

        Raises:
            ImageError: An image is flawed.
        """
        strict = replace(self, skip=False)
        parts = [images for _, images in strict._with_images(places)]
        return [image["bytes"] for images in parts for image in images]

    def _with_images(self, table: pa.Table) -> Iterator[tuple[pa.Table, list[dict[str, Any]]]]:
        places = table.select(["processid", *LOCATION_COLUMNS]).to_pylist()
        remote = [isinstance(source, RemotePath) for source in self.sources]
        with ExitStack() as stack:
            opened: dict[int, Source] = {}
            for stretch in stretches(places, remote):
                held = self._held(stretch, opened, stack)
                images: list[dict[str, Any]] = []
                kept: list[int] = []
                for number in range(stretch.first, stretch.last + 1):
                    place = places[number]
                    data = self._image(place, held or self._source(place, opened, stack))
                    if data is None:
                        continue
                    images.append({"bytes": bytes(data), "path": f"{place['processid']}.jpg"})
                    kept.append(number)
                if kept:
                    yield table.take(pa.array(kept)), images

    def _source(
        self, place: dict[str, Any], opened: dict[int, Source], stack: ExitStack
    ) -> Source | None:
        """The archive of an image; ``None`` for a plain file."""
        number = place["source"]
        if place["offset"] is None:
            return None
        if number not in opened:
            opened[number] = stack.enter_context(open_location(self.sources[number]))
        return opened[number]

    def _held(self, stretch: Stretch, opened: dict[int, Source], stack: ExitStack) -> Source | None:
        """Fetch a stretch of a remote archive with one request; ``None`` for local data."""
        if stretch.place is None:
            return None
        source = self._source(stretch.place, opened, stack)
        assert source is not None, "a stretch that is fetched at once lies in an archive"
        return HeldPart(source, stretch.place["offset"], stretch.stop)

    def _image(self, place: dict[str, Any], source: Source | None) -> bytes | bytearray | None:
        folder = self.sources[place["source"]]
        assert source or isinstance(folder, Path), "only local folders are served unpacked"
        try:
            return read_image(place, source or folder)
        except FlawedImage as flawed:
            where = f"{self.labels[place['source']]}: {name_of(place)}"
            if not self.skip:
                raise ImageError(
                    f"{MEANINGS[flawed.flaw]} ({flawed.detail})",
                    where=where,
                    fix='get the archive again, or leave such images out with on_error="skip"',
                ) from flawed
            meaning = MEANINGS[flawed.flaw]
            _log.warning("%s: %s, and is left out (%s)", where, meaning, flawed.detail)
            return None


class _Images:
    def __init__(self, piece: RawPiece) -> None:
        self._piece = piece
        self._places = piece.places()

    def read(self, rows: Numbers) -> list[Encoded]:
        return self._piece.images(self._places.take(pa.array(rows)))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive rows whose images are read and yielded together.

    Attributes:
        first: The first row.
        last: The last row.
        place: The location of the first image, if all images are fetched with one request.
        stop: An offset that no image of the stretch goes beyond.
    """

    first: int
    last: int
    place: dict[str, Any] | None = None
    stop: int = 0


def stretches(places: list[dict[str, Any]], remote: Sequence[bool]) -> Iterator[Stretch]:
    """Cut rows into stretches of a few megabytes, which lie close together in remote archives.

    Args:
        places: The location of the image of each row: the number of its ``source``, its ``offset``,
            its ``compressed`` length and its plain ``size``, in bytes. Offset and compressed are
            ``None`` for a plain file.
        remote: For each source, whether it is read over a network.

    Yields:
        Stretches in the order of the rows; every row is in one of them.
    """
    reads: list[tuple[int, int, int]] = []
    position = 0
    for place in places:
        size = place["size"]
        if remote[place["source"]]:
            reads.append((place["source"], place["offset"], _end(place)))
        else:
            # Local images are read one by one, so only their lengths matter, not their offsets.
            reads.append((_LOCAL, position, position + size))
        position += size
    for first, after in requests_in_order(reads, _LIMITS, _STRETCH_ROWS):
        if reads[first][0] == _LOCAL:
            yield Stretch(first, after - 1)
        else:
            yield Stretch(first, after - 1, places[first], reads[after - 1][2])


def _end(place: dict[str, Any]) -> int:
    return int(place["offset"] + _HEADER_BYTES + place["compressed"])
