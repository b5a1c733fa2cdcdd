"""What the pictures of the card are made of."""

from __future__ import annotations

import io

from PIL import Image

from conversion.card.figures.canvas import GROUND, Canvas


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
