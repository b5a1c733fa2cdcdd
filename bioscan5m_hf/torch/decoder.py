"""Decode images for training, for ``BIOSCAN5M`` or as the transform of a Hugging Face dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import get_worker_info

from bioscan5m_hf.decode import OUTPUTS, finisher, to_planes, without_decoding
from bioscan5m_hf.errors import ImageError, UnknownName, UsageError
from bioscan5m_hf.jpeg import HAVE_OPENCV, Pixels, decode_jpeg
from bioscan5m_hf.schema.columns import IMAGE_COLUMN
from bioscan5m_hf.torch.batch import worker_image
from bioscan5m_hf.torch.lent import empty_batch


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes images.

    Attributes:
        size: The length to which the shorter side is scaled, in pixels; by default images keep
            their size.
        center_crop: Keep only the ``size`` x ``size`` pixels in the middle of each image, so that
            images can be stacked.
        output: ``"pil"``: RGB images of Pillow. ``"numpy"``: arrays of uint8, height x width x 3.
            ``"torch"``: tensors of uint8, 3 x height x width.

    Raises:
        UnknownName: There is no such output.
        UsageError: The size is not positive, or ``center_crop`` is given without a size.
    """

    size: int | None = None
    center_crop: bool = False
    output: str = "pil"

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise UnknownName.of("output", self.output, OUTPUTS)
        if self.size is not None and self.size < 1:
            raise UsageError(f"size={self.size!r} is not a positive number")
        if self.center_crop and self.size is None:
            raise UsageError("center_crop=True needs a size", fix="give size=224, for example")
        if self.size is not None and HAVE_OPENCV:
            # Import it before workers are forked, or each worker would take 0.2 s in every epoch.
            import cv2  # noqa: F401

    def __call__(self, data: bytes | memoryview, name: str = "an image") -> Any:
        """Decode one image.

        Args:
            data: The bytes of the image.
            name: Its name in messages.

        Raises:
            ImageError: It cannot be decoded.
        """
        return finisher(self.output)(self._pixels(data, name))

    def decode(
        self, images: Sequence[bytes | memoryview], names: Sequence[str], *, together: bool
    ) -> list[Any]:
        """Decode several images.

        Args:
            images: The bytes of the images.
            names: Their names in messages.
            together: Whether they become one batch, and none is kept longer than the others.

        Raises:
            ImageError: An image cannot be decoded.
        """
        worker = self.output == "torch" and get_worker_info() is not None
        if not (worker and together and self.center_crop and self.size and len(images) > 1):
            made = [self(image, name) for image, name in zip(images, names, strict=True)]
            return [worker_image(image) for image in made] if worker else made
        batch = empty_batch(len(images), 3, self.size, self.size)
        scratch = np.empty((self.size, self.size, 3), np.uint8)
        for planes, image, name in zip(batch.numpy(), images, names, strict=True):
            to_planes(self._pixels(image, name, scratch), planes)
        return [worker_image(image, batch) for image in batch.unbind()]

    def _pixels(self, data: bytes | memoryview, name: str, out: Pixels | None = None) -> Pixels:
        return decode_jpeg(data, self.size, name, square=self.center_crop, out=out)


def bytes_of(images: Sequence[dict[str, Any] | None], names: Sequence[str]) -> list[bytes]:
    """Take the bytes out of values of the column ``image``.

    Args:
        images: Values of the column ``image``, not decoded.
        names: Names of the images in messages.

    Raises:
        ImageError: A value has no bytes.
    """
    found: list[bytes] = []
    for image, name in zip(images, names, strict=True):
        if image is None or image.get("bytes") is None:
            raise ImageError("the bytes of the image are missing", where=name)
        found.append(image["bytes"])
    return found


@dataclass(frozen=True, slots=True)
class _Transform:
    decoder: Decoder

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        made = {
            name: ["" if value is None else value for value in values]
            for name, values in batch.items()
        }
        if IMAGE_COLUMN in batch:
            images = batch[IMAGE_COLUMN]
            names = [(image or {}).get("path") or "an image" for image in images]
            encoded = bytes_of(images, names)
            made[IMAGE_COLUMN] = self.decoder.decode(encoded, names, together=True)
        return made


def with_decoder(
    ds: Any, size: int | None = None, center_crop: bool = False, output: str = "torch"
) -> Any:
    """Make a Hugging Face dataset decode its images with ``Decoder``, batch by batch.

        train = with_decoder(load_dataset("bioscan-5m", split="train"), 224, center_crop=True)

    Missing values become empty strings, which ``default_collate`` accepts. Select columns before,
    with ``columns=`` or ``select_columns``.

    Args:
        ds: A map-style dataset with a column ``image``.
        size: See ``Decoder``.
        center_crop: See ``Decoder``.
        output: See ``Decoder``.

    Raises:
        UsageError: There is no column of images, or an option is out of range.
    """
    decoder = Decoder(size, center_crop, output)
    return without_decoding(ds).with_transform(_Transform(decoder))
