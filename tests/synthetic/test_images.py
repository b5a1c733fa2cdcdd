import io

import numpy as np
import pytest
from PIL import Image

from bioscan5m_hf.schema.configurations import package_names
from conversion.derive.geometry import Box
from conversion.synthetic.images import commented, encode, picture_of
from conversion.synthetic.photograph import Photograph


@pytest.fixture(scope="module")
def photograph() -> Photograph:
    noise = np.random.default_rng(0).integers(0, 200, (768, 1024, 3), dtype=np.uint8)
    return Photograph(Image.fromarray(noise), Box(1024, 768, -30, 100, 370, 700))


def test_a_crop_that_passes_the_border_is_padded(photograph: Photograph) -> None:
    cut = picture_of("cropped", photograph)
    assert cut.size == (400, 600)
    assert cut.getpixel((29, 0)) == (240, 240, 240)
    assert cut.getpixel((30, 0)) == photograph.picture.getpixel((0, 100))


@pytest.mark.parametrize(
    ("package", "size"),
    [
        ("original_full", (1024, 768)),
        ("cropped", (400, 600)),
        ("original_256", (341, 256)),
        ("cropped_256", (256, 384)),
    ],
)
def test_sizes(photograph: Photograph, package: str, size: tuple[int, int]) -> None:
    assert package in package_names()
    assert picture_of(package, photograph).size == size


def test_jpegs_are_made_as_upstreams(photograph: Photograph) -> None:
    picture = picture_of("cropped_256", photograph)
    jpeg = encode(picture)
    reference = io.BytesIO()
    picture.save(reference, "JPEG", quality=75, subsampling=2)
    assert jpeg == reference.getvalue()


def test_a_comment_names_the_specimen_and_changes_no_pixel(photograph: Photograph) -> None:
    jpeg = encode(picture_of("cropped_256", photograph))
    whole = commented(jpeg, "ABCDE123-21")
    with Image.open(io.BytesIO(whole)) as opened, Image.open(io.BytesIO(jpeg)) as original:
        assert opened.info["comment"] == b"ABCDE123-21"
        assert opened.tobytes() == original.tobytes()
