"""What the pictures of the card are made of."""

from __future__ import annotations

import pytest
from PIL import Image

from conversion.card.figures.canvas import GROUND, Canvas, fit, fit_size, font


@pytest.mark.parametrize("name", ["Ant", "Entomobryomorphoidea", "Order" * 9])
def test_names_are_made_smaller_before_they_are_cut(name: str) -> None:
    size = fit_size(name, 21, 205)
    shown = fit(name, size, 205)
    assert font(size).getlength(shown) <= 205
    assert (shown == name) == (len(name) < 40)
    assert (size == 21) == (len(name) < 10), size


def test_a_stain_covers_as_much_as_its_mask() -> None:
    canvas = Canvas(200, 120, "")
    canvas.stain((0, 0, 0), Image.frombytes("L", (3, 1), bytes((0, 128, 255))), 50, 100)
    found = [canvas.image.getpixel((x, 100)) for x in (50, 51, 52, 53)]
    assert found == [GROUND, (125, 125, 123), (0, 0, 0), GROUND]
