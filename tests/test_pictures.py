"""What the pictures of the card are made of."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from conversion.pictures.canvas import GROUND, Canvas
from conversion.pictures.png import Content, png


@pytest.mark.parametrize("content", Content)
@pytest.mark.parametrize("size", [(1, 1), (7, 1), (1, 9), (333, 57)])
def test_pillow_reads_what_was_encoded(content: Content, size: tuple[int, int]) -> None:
    width, height = size
    image = Image.frombytes("RGBA", size, random.Random(3).randbytes(4 * width * height))
    data = png(image, content)
    with Image.open(io.BytesIO(data)) as checked:
        checked.verify()
    with Image.open(io.BytesIO(data)) as found:
        assert (found.format, found.mode, found.size) == ("PNG", "RGBA", size)
        assert found.tobytes() == image.tobytes()


def test_the_four_corners_are_round_and_alike() -> None:
    with Image.open(io.BytesIO(Canvas(301, 203, "").png())) as sheet:
        alpha = sheet.getchannel("A")
    for turned in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        assert alpha.transpose(turned).tobytes() == alpha.tobytes()
    assert [alpha.getpixel((step, step)) for step in (0, 5, 8, 100)] == [0, 0, 255, 255]
    assert alpha.crop((22, 0, 279, 203)).getextrema() == (255, 255)
    assert len(alpha.getcolors() or []) == 5, "smooth"


def test_a_stain_covers_as_much_as_its_mask() -> None:
    canvas = Canvas(200, 120, "")
    canvas.stain((0, 0, 0), Image.frombytes("L", (3, 1), bytes((0, 128, 255))), 50, 100)
    found = [canvas.image.getpixel((x, 100)) for x in (50, 51, 52, 53)]
    assert found == [GROUND, (125, 125, 123), (0, 0, 0), GROUND]
