from __future__ import annotations

import io

import numpy as np
import pytest
from cykooz_resizer import (
    CpuExtensions,
    FilterType,
    ImageData,
    PixelType,
    ResizeAlg,
    ResizeOptions,
    Resizer,
)
from PIL import Image

from bioscan5m_hf.release.zip_member import Flaw, FlawedImage
from conversion.derive.geometry import Box, resized
from conversion.derive.pixels import Derivation
from conversion.derive.recipe import recipe_for
from tests.derive.pictures import jpeg, photograph, psnr

PICTURE = photograph()


def make(package: str, image: bytes, box: Box | None = None) -> Image.Image:
    return Image.open(io.BytesIO(make_bytes(package, image, box)))


def make_bytes(package: str, image: bytes, box: Box | None = None) -> bytes:
    derivation = Derivation(recipe_for(package, ["original_full"], bbox=True))
    if box is None:
        return derivation.make(image)
    return derivation.make(image, box, box.area_fraction, box.scale_factor)


def pixels(package: str, image: bytes, box: Box | None = None) -> Image.Image:
    """What is encoded in the end."""
    derivation = Derivation(recipe_for(package, ["original_full"], bbox=True))
    stated = (box.area_fraction, box.scale_factor) if box else ()
    return Image.fromarray(derivation.pixels(image, box, *stated))


def by_pillow(image: bytes, box: Box, short_side: int) -> Image.Image:
    """Full decode, crop with padding, Lanczos."""
    whole = Image.open(io.BytesIO(image)).convert("RGB")
    padded = Image.new("RGB", box.size, (240, 240, 240))
    part = box.clipped()
    cut = whole.crop((part.x0, part.y0, part.x1, part.y1))
    padded.paste(cut, (part.x0 - box.x0, part.y0 - box.y0))
    return padded.resize(resized(*box.size, short_side), Image.Resampling.LANCZOS)


def box(x0: int, y0: int, x1: int, y1: int) -> Box:
    return Box(1024, 768, x0, y0, x1, y1)


@pytest.mark.parametrize(
    "part",
    [
        box(339, 208, 533, 493),
        box(208, 247, 554, 634),
        box(316, 29, 734, 688),
        box(101, 77, 733, 701),
        box(0, 0, 1024, 768),
        box(1, 1, 1024, 768),
        box(511, 0, 1024, 767),
        box(-40, -30, 420, 500),
        box(700, 400, 1100, 800),
        box(-8, -8, 1032, 776),
        box(5, 5, 25, 30),
    ],
)
def test_a_crop_is_that_of_pillow(part: Box) -> None:
    made, expected = pixels("cropped_256", PICTURE, part), by_pillow(PICTURE, part, 256)
    assert made.mode == "RGB"
    assert min(made.size) == 256
    assert psnr(made, expected) > 38


@pytest.mark.parametrize("short_side", [32, 96, 128, 256, 383, 384, 500, 800])
def test_any_size_is_that_of_pillow(short_side: int) -> None:
    made = pixels(f"original_{short_side}", PICTURE)
    assert psnr(made, by_pillow(PICTURE, box(0, 0, 1024, 768), short_side)) > 38


@pytest.mark.parametrize("width", range(517, 533))
def test_sizes_that_no_block_divides(width: int) -> None:
    image = photograph(3, width, 641)
    whole = Box(width, 641, 0, 0, width, 641)
    assert psnr(pixels("original_128", image), by_pillow(image, whole, 128)) > 38


def test_a_shifted_crop_would_be_noticed() -> None:
    made = pixels("cropped_256", PICTURE, box(101, 101, 701, 701))
    assert psnr(made, by_pillow(PICTURE, box(99, 101, 699, 701), 256)) < 38


def test_without_resizing_the_pixels_are_those_of_the_box() -> None:
    part = box(100, 50, 433, 301)
    made = make("cropped", PICTURE, part)
    assert made.size == (333, 251)
    expected = Image.open(io.BytesIO(PICTURE)).crop((100, 50, 433, 301))
    assert psnr(made, Image.open(io.BytesIO(jpeg(expected, quality=90)))) > 45


def test_what_lies_beyond_the_border_is_grey() -> None:
    made = np.asarray(make("cropped", PICTURE, box(-64, -32, 300, 800)))
    assert made.shape == (832, 364, 3)
    for beyond in (made[:24], made[:, :56], made[-24:]):
        assert abs(beyond.astype(int) - 240).max() <= 1
    inner = Image.open(io.BytesIO(PICTURE)).crop((0, 0, 300, 768))
    assert psnr(Image.fromarray(made[32:800, 64:]), inner) > 38


def test_the_tables_are_the_standard_ones_of_the_quality() -> None:
    for package, quality in (("original_256", 75), ("cropped", 90)):
        part = box(0, 0, 200, 200) if package == "cropped" else None
        made = make(package, PICTURE, part)
        expected = Image.open(io.BytesIO(jpeg(Image.new("RGB", (8, 8)), quality=quality)))
        assert made.quantization == expected.quantization  # type: ignore[attr-defined]
        assert made.info.get("progressive") is None


def test_the_same_input_gives_the_same_bytes() -> None:
    part = box(101, 77, 733, 701)
    assert make_bytes("cropped_256", PICTURE, part) == make_bytes("cropped_256", PICTURE, part)


def test_the_processor_does_not_decide_the_pixels() -> None:
    whole = np.asarray(Image.open(io.BytesIO(PICTURE)))
    found = set()
    for extensions in (CpuExtensions.none, Resizer().cpu_extensions):
        resizer = Resizer()
        resizer.cpu_extensions = extensions
        source = ImageData(1024, 768, PixelType.U8x3, whole.tobytes())
        made = ImageData(341, 256, PixelType.U8x3)
        options = ResizeOptions(ResizeAlg.convolution(FilterType.catmull_rom))
        resizer.resize(source, made, options)
        found.add(made.get_buffer())
    assert len(found) == 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"quality": 40}])
def test_other_kinds_of_jpeg(mode: str, options: dict[str, object]) -> None:
    picture = Image.open(io.BytesIO(PICTURE)).convert(mode)
    image = jpeg(picture, **options)
    made = pixels("original_256", image)
    assert made.mode == "RGB"
    assert psnr(made, by_pillow(image, box(0, 0, 1024, 768), 256)) > 38


def flaw(image: bytes, part: Box | None = None, package: str = "original_256") -> Flaw:
    with pytest.raises(FlawedImage) as caught:
        make_bytes(package, image, part)
    return caught.value.flaw


@pytest.mark.parametrize("package", ["original_256", "original_500"])
def test_damaged_images(package: str) -> None:
    half = PICTURE[: len(PICTURE) // 2]
    noise = np.random.default_rng(0).integers(0, 255, 3000, np.uint8).tobytes()
    middle = len(PICTURE) // 2
    for image in (
        half,
        half + b"\xff\xd9",
        PICTURE[:middle] + noise + PICTURE[middle + 3000 :],
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff" + bytes(200) + b"\xff\xd9",
    ):
        assert flaw(image, package=package) is Flaw.UNDECODABLE


def test_an_image_that_would_fill_the_memory_is_refused_before_it_does() -> None:
    start = PICTURE.index(b"\xff\xc0")
    huge = bytearray(PICTURE)
    huge[start + 5 : start + 9] = b"\xff\xf0\xff\xf0"
    assert flaw(bytes(huge)) is Flaw.UNDECODABLE


def test_boxes_that_do_not_fit() -> None:
    assert flaw(PICTURE, Box(1024, 767, 0, 0, 9, 9), "cropped_256") is Flaw.OTHER_SIZE
    assert flaw(PICTURE, box(9, 9, 9, 99), "cropped_256") is Flaw.BAD_BOX
    assert flaw(PICTURE, box(0, 0, 1024, 2), "cropped_256") is Flaw.BAD_BOX
    assert flaw(PICTURE, None, "cropped_256") is Flaw.MISSING_BOX
