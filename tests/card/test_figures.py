"""What the pictures of the card are made of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from conversion.card.figures.canvas import GROUND, Canvas, fit, fit_size, font
from conversion.card.figures.specimens import Pick


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


@pytest.mark.parametrize(("orientation", "left_on_top"), [(6, True), (8, False)])
def test_a_specimen_is_turned_as_its_photograph_says(orientation: int, left_on_top: bool) -> None:
    photograph = Image.new("RGB", (96, 64), "blue")
    photograph.paste("red", (0, 0, 48, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = io.BytesIO()
    photograph.save(held, "JPEG", exif=exif)
    pick = Pick("Diptera", "A1", held.getvalue()).made_small()
    assert pick
    with Image.open(io.BytesIO(pick.photograph)) as shown:
        assert shown.size == (64, 96)
        red, _, blue = np.asarray(shown.convert("RGB"))[10, 32].tolist()
    assert (red > blue) == left_on_top
