"""Draw a contact sheet, with some specimens of each order side by side."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from bioscan5m_hf.jpeg import open_jpeg
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from conversion.card.figures.canvas import FAINT, INK, LINE, Canvas, fit, fit_size
from conversion.shards.read import read_shard

_WIDTH: Final = 1600
_TILE: Final = 152
_GAP: Final = 8
_LABELS: Final = 242
_ACROSS: Final = 8
_ORDERS: Final = 8
_TOP: Final = 100
# How many rows are searched in the first shard of each split; rare orders need many.
_SEARCHED: Final = 1_500
# How many orders are kept of each shard. They are more than the sheet shows, because the most
# frequent orders differ between shards.
_SEARCHED_ORDERS: Final = 12
_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Pick:
    """One specimen for the sheet.

    Attributes:
        order: Its order.
        processid: Its id.
        photograph: Its photograph, a JPEG. It is decoded only if it is shown; one in ten is shown.
        small: Whether the photograph was reduced.
    """

    order: str
    processid: str
    photograph: bytes
    small: bool = False

    def made_small(self) -> Pick | None:
        """Reduce the photograph to its size on the sheet; ``None`` if it is unreadable."""
        if self.small:
            return self
        tile = _tile(self.photograph)
        return replace(self, photograph=tile, small=True) if tile else None


def pick_specimens(shard: Path) -> list[Pick]:
    """Choose the first specimens of each frequent order in the first rows of a shard.

    The order of the rows is random but fixed, and so is the choice.

    Returns:
        The specimens, for each order at most as many as fit side by side on the sheet.

    Raises:
        BrokenShard: The file is not a shard.
        OSError: It cannot be read.
    """
    picks: list[Pick] = []
    chosen: Counter[str] = Counter()
    frequent: Counter[str] = Counter()
    seen = 0
    for batch in read_shard(shard, [IMAGE_COLUMN, "processid", "order"]):
        orders = batch.column("order").to_pylist()[: _SEARCHED - seen]
        for row, order in enumerate(orders):
            if order is None:
                continue
            frequent[order] += 1
            if chosen[order] >= _ACROSS:
                continue
            data = batch.column(IMAGE_COLUMN)[row]["bytes"].as_py()
            picks.append(Pick(order, batch.column("processid")[row].as_py(), data))
            chosen[order] += 1
        seen += len(orders)
        if seen >= _SEARCHED:
            break
    kept = sorted(frequent, key=lambda order: (-frequent[order], order))[:_SEARCHED_ORDERS]
    return [pick for pick in picks if pick.order in kept]


def _tile(data: bytes) -> bytes | None:
    """Reduce a photograph; ``None`` if Pillow cannot read it, although the file may be intact."""
    try:
        with open_jpeg(data) as photograph:
            photograph.draft("RGB", (2 * _TILE, 2 * _TILE))
            small = ImageOps.exif_transpose(photograph).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    small.thumbnail((_TILE, _TILE), Image.Resampling.HAMMING)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def contact_sheet(picks: Iterable[Pick], orders: Sequence[tuple[str, int]]) -> bytes | None:
    """Draw the contact sheet.

    Args:
        picks: The specimens; earlier ones of an order are preferred.
        orders: The orders and how many specimens each has, the largest first.

    Returns:
        A JPEG; ``None`` if there is no specimen to show.
    """
    found: dict[str, list[Pick]] = {}
    for pick in picks:
        found.setdefault(pick.order, []).append(pick)
    rows: list[tuple[str, int, list[Image.Image]]] = []
    for order, count in orders:
        if len(rows) < _ORDERS and (tiles := _tiles(found.get(order, []))):
            rows.append((order, count, tiles))
    if not rows:
        return None
    height = _TOP + len(rows) * (_TILE + _GAP) + 30
    canvas = Canvas(_WIDTH, height, "Specimens of the most frequent orders")
    for number, (order, count, tiles) in enumerate(rows):
        top = _TOP + number * (_TILE + _GAP)
        size = fit_size(order, 24, _LABELS - 10)
        canvas.text((40, top + _TILE // 2 - 30), fit(order, size, _LABELS - 10), size, INK)
        canvas.text((40, top + _TILE // 2 + 6), f"{count:,}", 20, FAINT)
        for column, tile in enumerate(tiles):
            left = 40 + _LABELS + column * (_TILE + _GAP)
            canvas.bar((left, top, left + _TILE, top + _TILE), LINE)
            canvas.paste(tile, left + (_TILE - tile.width) // 2, top + (_TILE - tile.height) // 2)
    return canvas.jpeg()


def _tiles(picks: Sequence[Pick]) -> list[Image.Image]:
    """The first readable photographs, without duplicates, as many as fit side by side."""
    tiles: dict[str, Image.Image] = {}
    for pick in picks:
        if len(tiles) == _ACROSS:
            break
        if pick.processid not in tiles and (small := pick.made_small()):
            with Image.open(io.BytesIO(small.photograph)) as tile:
                tiles[pick.processid] = tile.convert("RGB")
    return list(tiles.values())
