"""Compute boxes and sizes, without any image data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bioscan5m_hf.release.zip_member import Flaw, FlawedImage

# Upstream rounds area_fraction and scale_factor to four decimals. The direction in which it rounds
# a half depends on its arithmetic, so both are accepted.
HALF: Final = 0.5e-4 + 1e-9
# The side that upstream's scale_factor refers to, even if another size is made here.
UPSTREAM_SIDE: Final = 256
# A box extends beyond the border by a few pixels if the organism does. A huge box is a mistake,
# and its padding would fill the memory.
_MOST_PADDED: Final = 4
DCT_SCALES: Final = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Box:
    """One of upstream's bounding boxes, in pixels of the original; x1 and y1 are exclusive."""

    width: int
    height: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the box."""
        return self.x1 - self.x0, self.y1 - self.y0

    @property
    def area_fraction(self) -> float:
        """The area of the box divided by the area of the original."""
        across, down = self.size
        return across * down / (self.width * self.height)

    @property
    def scale_factor(self) -> float:
        """The shorter side of the box divided by 256."""
        return min(self.size) / UPSTREAM_SIDE

    @property
    def inside(self) -> bool:
        """Whether the box lies completely in the original."""
        return self.x0 >= 0 and self.y0 >= 0 and self.x1 <= self.width and self.y1 <= self.height

    def clipped(self) -> Box:
        """The part of the box that lies in the original."""
        return Box(
            self.width,
            self.height,
            max(0, self.x0),
            max(0, self.y0),
            min(self.width, self.x1),
            min(self.height, self.y1),
        )


def check_box(
    box: Box, size: tuple[int, int], area_fraction: float | None, scale_factor: float | None
) -> None:
    """Compare a box with the original and with the metadata.

    Args:
        box: The box.
        size: Width and height of the original in pixels, from its header.
        area_fraction: The value in the metadata; ``None`` if it is missing.
        scale_factor: The value in the metadata; ``None`` if it is missing.

    Raises:
        FlawedImage: The original has another size; the box is empty, outside of the original or
            far larger than it; or the metadata differ from the box.
    """
    if size != (box.width, box.height):
        raise FlawedImage(
            Flaw.OTHER_SIZE,
            f"it has {size[0]} x {size[1]} pixels, the bounding box is for "
            f"{box.width} x {box.height}",
        )
    placed = f"the box is ({box.x0}, {box.y0}) to ({box.x1}, {box.y1}) of {size[0]} x {size[1]}"
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise FlawedImage(Flaw.BAD_BOX, f"nothing is in it: {placed}")
    if min(box.clipped().size) <= 0:
        raise FlawedImage(Flaw.BAD_BOX, f"it is outside of the image: {placed}")
    across, down = box.size
    if across > _MOST_PADDED * box.width or down > _MOST_PADDED * box.height:
        raise FlawedImage(Flaw.BAD_BOX, f"it is far larger than the image: {placed}")
    for name, found, stated in (
        ("area_fraction", box.area_fraction, area_fraction),
        ("scale_factor", box.scale_factor, scale_factor),
    ):
        if stated is None or not abs(found - stated) <= HALF:
            given = "nothing" if stated is None else f"{stated}"
            raise FlawedImage(
                Flaw.BOX_MISMATCH, f"{name} of the box is {found:.4f}, the metadata say {given}"
            )


def resized(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the size with this shorter side and the same aspect ratio, rounded half up."""
    shorter = min(width, height)

    def scaled(side: int) -> int:
        return (2 * side * short_side + shorter) // (2 * shorter)

    return scaled(width), scaled(height)


def decode_scale(width: int, height: int, target: tuple[int, int]) -> int:
    """Choose the factor by which the JPEG decoder shrinks an image before it is resized.

    Returns:
        The largest of 1, 2, 4 and 8 that does not make the image smaller than the target.
    """
    ratio = min(width / target[0], height / target[1])
    return next((scale for scale in DCT_SCALES if ratio >= scale), 1)
