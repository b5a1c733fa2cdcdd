"""Draw on a canvas that is easy to read on light and on dark pages."""

from __future__ import annotations

import io
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

INK: Final = (31, 41, 51)
FAINT: Final = (99, 108, 118)
LINE: Final = (222, 225, 229)
FIRST: Final = (36, 122, 109)
SECOND: Final = (190, 110, 28)
# Pure white would glare on a dark page, and its edge would be invisible on a white page.
GROUND: Final = (250, 250, 247)
# This level takes a quarter of the time of Pillow's default, and files are a fifth larger.
_EFFORT: Final = 1
_QUALITY: Final = 90

Color = tuple[int, int, int]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Load Pillow's own typeface, so that all machines draw with the same one."""
    found = ImageFont.load_default(size)
    assert isinstance(found, ImageFont.FreeTypeFont)
    return found


class Canvas:
    """A canvas with a title.

    Args:
        width: The width in pixels.
        height: The height in pixels.
        title: The text at its top.
        note: A smaller text beside the title.
    """

    def __init__(self, width: int, height: int, title: str, note: str = "") -> None:
        self.width, self.height = width, height
        self.image = Image.new("RGB", (width, height), GROUND)
        self._draw = ImageDraw.Draw(self.image)
        self.text((40, 34), title, 34, INK)
        if note:
            self.text((width - 40, 42), note, 22, FAINT, "ra")

    def text(
        self,
        place: tuple[float, float],
        text: str,
        size: int,
        color: Color = INK,
        anchor: str = "la",
    ) -> None:
        """Write a line.

        Args:
            place: Pixels from the left and the top.
            text: The line.
            size: Its height in pixels.
            color: The colour of the letters.
            anchor: The point of the text that lies at ``place``, as Pillow's anchor of two letters.
        """
        self._draw.text(place, text, color, font(size), anchor)

    def bar(self, box: tuple[float, float, float, float], color: Color) -> None:
        """Fill a rectangle: left, top, right, bottom."""
        left, top, right, bottom = map(round, box)
        if right > left and bottom > top:
            self._draw.rectangle((left, top, right - 1, bottom - 1), color)

    def line(self, ends: tuple[float, float, float, float], color: Color = LINE) -> None:
        """Draw a straight line, two pixels wide."""
        self._draw.line(tuple(map(round, ends)), color, 2)

    def paste(self, image: Image.Image, left: int, top: int) -> None:
        """Put a picture on the canvas."""
        self.image.paste(image, (left, top))

    def stain(self, color: Color, mask: Image.Image, left: int, top: int) -> None:
        """Colour the canvas through a mask (mode L), whose values are the opacity."""
        self.image.paste(color, (left, top), mask)

    def jpeg(self) -> bytes:
        """The canvas as a JPEG, for photographs: a fifth of the bytes and of the time of a PNG."""
        out = io.BytesIO()
        # With subsampled colours, the edges of letters would blur.
        self.image.save(out, "JPEG", quality=_QUALITY, subsampling="4:4:4")
        return out.getvalue()

    def png(self) -> bytes:
        """The canvas as a PNG."""
        out = io.BytesIO()
        self.image.save(out, "PNG", compress_level=_EFFORT)
        return out.getvalue()


def fit(text: str, size: int, width: float) -> str:
    """Shorten a line to a width in pixels."""
    letters = font(size)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def fit_size(text: str, size: int, width: float) -> int:
    """The largest font size, but at least 12 pixels, at which a line fits a width."""
    return next((s for s in range(size, 12, -1) if font(s).getlength(text) <= width), 12)


def short_count(count: int) -> str:
    """Format a count for an axis: 250, 1.5k, 20k, 3M."""
    for unit, factor in (("M", 1_000_000), ("k", 1_000)):
        if count >= factor:
            return f"{count / factor:.1f}".removesuffix(".0") + unit
    return str(count)
