"""Draw many specimens side by side, with a caption below each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageFont

_TILE: Final = 192
_CAPTION: Final = 22
_GAP: Final = 8
_GROUND: Final = (250, 250, 248)
_MOUNT: Final = (226, 228, 232)
_INK: Final = (40, 44, 52)


@dataclass(frozen=True, slots=True)
class Tile:
    """One specimen of a sheet.

    Attributes:
        image: Its photograph.
        caption: What stands below it.
    """

    image: Image.Image
    caption: str


def contact_sheet(tiles: Sequence[Tile], columns: int) -> bytes:
    """Lay out photographs in rows, each with a caption.

    Args:
        tiles: The specimens.
        columns: How many stand in a row.

    Returns:
        A PNG.
    """
    rows = -(-len(tiles) // columns)
    width = columns * (_TILE + _GAP) + _GAP
    height = rows * (_TILE + _CAPTION + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        left = _GAP + column * (_TILE + _GAP)
        top = _GAP + row * (_TILE + _CAPTION + _GAP)
        draw.rectangle((left, top, left + _TILE - 1, top + _TILE - 1), _MOUNT)
        small = tile.image.convert("RGB")
        small.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
        sheet.paste(small, (left + (_TILE - small.width) // 2, top + (_TILE - small.height) // 2))
        draw.text((left, top + _TILE + 3), _fit(tile.caption, font), _INK, font)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= _TILE:
        return text
    while text and font.getlength(f"{text}…") > _TILE:
        text = text[:-1]
    return f"{text}…"
