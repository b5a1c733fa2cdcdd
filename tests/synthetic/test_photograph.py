import io

import numpy as np
import pytest
from PIL import Image

from bioscan5m_hf.schema.configurations import package_names
from conversion.derive.geometry import Box
from conversion.synthetic.forms import FORMS
from conversion.synthetic.photograph import (
    FULL_SIZE,
    TINY_SIZE,
    commented,
    encode,
    photograph,
    picture_of,
    tiny_photograph,
)

BOX = Box(1024, 768, -30, 100, 370, 700)


@pytest.fixture(scope="module")
def noise() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 200, (768, 1024, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_can_be_photographed(form: str) -> None:
    picture, box = photograph(form, 5)
    assert picture.size == FULL_SIZE
    # What is inside of the box is darker than the pale dish around.
    grey = np.asarray(picture.convert("L"))
    inside = grey[max(0, box.y0) : box.y1, max(0, box.x0) : box.x1]
    assert inside.min() < grey.mean() - 40


def test_photographs_differ_by_seed_alone() -> None:
    first, again, other = photograph("fly", 1), photograph("fly", 1), photograph("fly", 2)
    assert first == again
    assert first[0] != other[0]


def test_some_boxes_pass_the_border() -> None:
    boxes = [photograph("lacewing", seed)[1] for seed in range(60)]
    assert any(box.x0 < 0 or box.x1 > FULL_SIZE[0] for box in boxes)


def test_tiny_photographs_have_a_box_within() -> None:
    for seed in range(50):
        picture, box = tiny_photograph(seed)
        assert picture.size == TINY_SIZE
        assert 0 <= box.x0 < box.x1 <= TINY_SIZE[0]
        assert 0 <= box.y0 < box.y1 <= TINY_SIZE[1]


def test_a_crop_that_passes_the_border_is_padded(noise: Image.Image) -> None:
    cut = picture_of("cropped", noise, BOX)
    assert cut.size == (400, 600)
    assert cut.getpixel((29, 0)) == (240, 240, 240)
    assert cut.getpixel((30, 0)) == noise.getpixel((0, 100))


@pytest.mark.parametrize(
    ("package", "size"),
    [
        ("original_full", (1024, 768)),
        ("cropped", (400, 600)),
        ("original_256", (341, 256)),
        ("cropped_256", (256, 384)),
    ],
)
def test_sizes(noise: Image.Image, package: str, size: tuple[int, int]) -> None:
    assert package in package_names()
    assert picture_of(package, noise, BOX).size == size


def test_jpegs_are_made_as_upstreams(noise: Image.Image) -> None:
    picture = picture_of("cropped_256", noise, BOX)
    jpeg = encode(picture)
    reference = io.BytesIO()
    picture.save(reference, "JPEG", quality=75, subsampling=2)
    assert jpeg == reference.getvalue()


def test_a_comment_names_the_specimen_and_changes_no_pixel(noise: Image.Image) -> None:
    jpeg = encode(picture_of("cropped_256", noise, BOX))
    whole = commented(jpeg, "ABCDE123-21")
    with Image.open(io.BytesIO(whole)) as opened, Image.open(io.BytesIO(jpeg)) as original:
        assert opened.info["comment"] == b"ABCDE123-21"
        assert opened.tobytes() == original.tobytes()
