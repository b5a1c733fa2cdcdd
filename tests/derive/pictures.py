"""Photographs with detail, of the size and weight of upstream's originals."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter


def photograph(
    seed: int = 0, width: int = 1024, height: int = 768, quality: int = 85, **options: object
) -> bytes:
    """A JPEG with edges, texture and a little noise."""
    random = np.random.default_rng(seed)
    layers = np.zeros((height, width, 3), np.float32)
    for cells, share in ((6, 90.0), (24, 60.0), (120, 30.0), (400, 12.0)):
        coarse = random.integers(0, 256, (max(2, cells * height // width), cells, 3), np.uint8)
        layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        layers += (np.asarray(layer, np.float32) - 128) * share / 128
    layers += random.normal(0, 1.5, layers.shape)
    picture = Image.fromarray(np.clip(layers + 150, 0, 255).astype(np.uint8))
    picture = picture.filter(ImageFilter.GaussianBlur(0.7))
    return jpeg(picture, quality=quality, **options)


def jpeg(picture: Image.Image, **options: object) -> bytes:
    """A picture as the bytes of a JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def psnr(one: Image.Image, other: Image.Image) -> float:
    """How alike two pictures of the same size are, in decibels."""
    assert one.size == other.size
    difference = np.asarray(one, np.float64) - np.asarray(other, np.float64)
    return float(10 * np.log10(255**2 / max(1e-9, (difference**2).mean())))
