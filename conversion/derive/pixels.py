"""Decode, crop, resize and encode one image.

The libraries were chosen by measurements (``tests/benchmarks/derive.py``). With Pillow, resizing
takes most of the time; a resizer with SIMD takes a fifth of that. Most of the remaining time is
decoding. ``simplejpeg`` can shrink while it decodes, can skip the smooth upsampling of colour that
resizing would undo, and, unlike Pillow, reports damaged data as an error.

A crop of a 1024 x 768 original of 50 kB takes 1.8 ms (Pillow: 4.5 ms): 0.6 ms for its Huffman
codes, which must all be decoded to detect damage, 0.5 ms for the rest of decoding, 0.4 ms for
resizing and 0.2 ms for encoding. The Catmull-Rom filter saves 5 % compared with Lanczos. The
difference is invisible: at least 52 dB, while the JPEG's own loss is some 40 dB. The fast, inexact
DCT was rejected, because it saves another 4 % but reaches only 44 dB. ``simplejpeg``, Pillow and
OpenCV cannot decode only the rows and columns of the box.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import simplejpeg
from cykooz_resizer import (
    CropBox,
    FilterType,
    ImageData,
    PixelType,
    ResizeAlg,
    ResizeOptions,
    Resizer,
)

from bioscan5m_hf.jpeg import MAX_PIXELS
from bioscan5m_hf.release.zip_member import Flaw, FlawedImage
from conversion.derive.geometry import Box, check_box, decode_scale, resized
from conversion.derive.recipe import Recipe

PADDING: Final = 240
"""The value of red, green and blue beyond the border, as in upstream's crop tool."""

# The limit for narrow images, because their longer side could become arbitrarily long.
_MAX_ASPECT: Final = 64

Pixels = npt.NDArray[np.uint8]
"""An array of height, width and the three colours red, green and blue."""


class Derivation:
    """Makes images by one recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._resizer = Resizer()
        self._filter = ResizeAlg.convolution(FilterType.catmull_rom)

    def make(
        self,
        image: bytes | bytearray,
        box: Box | None = None,
        area_fraction: float | None = None,
        scale_factor: float | None = None,
    ) -> bytes:
        """Make one image.

        Args:
            image: The source JPEG. An orientation in its Exif data is not applied, because
                upstream's boxes refer to the pixels as they are stored.
            box: The box to cut out, if the recipe crops.
            area_fraction: The box's value in the metadata.
            scale_factor: The box's value in the metadata.

        Returns:
            A JPEG; the same input gives the same bytes with the same versions of the libraries.

        Raises:
            FlawedImage: The image cannot be decoded, or the box does not fit it.
        """
        made: bytes = simplejpeg.encode_jpeg(
            self.pixels(image, box, area_fraction, scale_factor),
            quality=self._recipe.quality,
            colorspace="RGB",
            colorsubsampling="420",
        )
        return made

    def pixels(
        self,
        image: bytes | bytearray,
        box: Box | None = None,
        area_fraction: float | None = None,
        scale_factor: float | None = None,
    ) -> Pixels:
        """The pixels of an image, before they are encoded; see ``make``."""
        width, height = _size_of(image)
        if not self._recipe.crop:
            box = Box(width, height, 0, 0, width, height)
        elif box is None:
            raise FlawedImage(Flaw.MISSING_BOX, "the bounding boxes have none for it")
        else:
            check_box(box, (width, height), area_fraction, scale_factor)
        return self._fit(image, box) if self._recipe.short_side else self._crop(image, box)

    def _crop(self, image: bytes | bytearray, box: Box) -> Pixels:
        return np.ascontiguousarray(_cut(_decode(image, 1, smooth=True), box))

    def _fit(self, image: bytes | bytearray, box: Box) -> Pixels:
        assert self._recipe.short_side
        across, down = box.size
        if max(across, down) > _MAX_ASPECT * min(across, down):
            raise FlawedImage(Flaw.BAD_BOX, f"{across} x {down} pixels are too narrow")
        target = resized(across, down, self._recipe.short_side)
        if not box.inside:
            pixels = _cut(_decode(image, 1, smooth=False), box)
            return self._resize(pixels, None, target)
        scale = decode_scale(across, down, target)
        pixels = _decode(image, scale, smooth=False)
        if scale == 1:
            return self._resize(_cut(pixels, box), None, target)
        # The last row or column of the shrunk image may stand for fewer pixels than ``scale``.
        right, lower = min(box.x1 / scale, pixels.shape[1]), min(box.y1 / scale, pixels.shape[0])
        left, upper = box.x0 / scale, box.y0 / scale
        return self._resize(pixels, CropBox(left, upper, right - left, lower - upper), target)

    def _resize(self, pixels: Pixels, part: CropBox | None, target: tuple[int, int]) -> Pixels:
        height, width, _ = pixels.shape
        source = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
        made = ImageData(*target, PixelType.U8x3)
        self._resizer.resize(source, made, ResizeOptions(self._filter, crop_box=part))
        return np.frombuffer(made.get_buffer(), np.uint8).reshape(target[1], target[0], 3)


def _size_of(image: bytes | bytearray) -> tuple[int, int]:
    """Read width and height from the header."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(image)
    except ValueError as error:
        raise FlawedImage(Flaw.UNDECODABLE, f"{error}") from error
    if width * height > MAX_PIXELS:
        raise FlawedImage(Flaw.UNDECODABLE, f"{width} x {height} pixels are too many")
    return width, height


def _decode(image: bytes | bytearray, scale: int, *, smooth: bool) -> Pixels:
    height, width = _size_of(image)[::-1] if scale > 1 else (0, 0)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(
            image,
            colorspace="RGB",
            fastupsample=not smooth,
            min_height=-(-height // scale),
            min_width=-(-width // scale),
            min_factor=scale,
        )
    except ValueError as error:
        raise FlawedImage(Flaw.UNDECODABLE, f"{error}") from error
    return pixels


def _cut(pixels: Pixels, box: Box) -> Pixels:
    """Cut out a box, with padding where it extends beyond the border."""
    part = box.clipped()
    inner = pixels[part.y0 : part.y1, part.x0 : part.x1]
    if box.inside:
        return inner
    across, down = box.size
    padded = np.full((down, across, 3), PADDING, np.uint8)
    top, left = part.y0 - box.y0, part.x0 - box.x0
    padded[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return padded
