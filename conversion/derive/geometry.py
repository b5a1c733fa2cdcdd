"""Compute boxes and sizes. Pure: numbers go in, numbers come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bioscan5m_hf.release.zip_member import Flaw, FlawedImage

# Upstream gives area_fraction and scale_factor to four decimals. Which way a half is rounded
# depends on its arithmetic, so both are right.
HALF: Final = 0.5e-4 + 1e-9
# Of upstream's scale_factor, whatever size is made here.
UPSTREAM_SIDE: Final = 256
# A box passes the border by a few pixels where the organism does. One that is mostly outside
# is a mistake, and a huge one would fill the memory with padding.
_MOST_PADDED: Final = 4
DCT_SCALES: Final = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class Box:
    """A row of upstream's bounding boxes; pixels of the original, the far edges not included."""

    width: int
    height: int
    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is cut out."""
        return self.x1 - self.x0, self.y1 - self.y0

    @property
    def area_fraction(self) -> float:
        """Its area by that of the original."""
        across, down = self.size
        return across * down / (self.width * self.height)

    @property
    def scale_factor(self) -> float:
        """Its shorter side by 256."""
        return min(self.size) / UPSTREAM_SIDE

    @property
    def inside(self) -> bool:
        """Whether no edge passes the border of the original."""
        return self.x0 >= 0 and self.y0 >= 0 and self.x1 <= self.width and self.y1 <= self.height

    def clipped(self) -> Box:
        """The part of it that lies in the original."""
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
        area_fraction: What the metadata say; ``None`` if they do not.
        scale_factor: What the metadata say; ``None`` if they do not.

    Raises:
        FlawedImage: The original has another size, the box is empty, outside of the original or
            reaches far beyond it, or the metadata do not say the same.
    """
    if size != (box.width, box.height):
        raise FlawedImage(
            Flaw.OTHER_SIZE,
            f"it has {size[0]} x {size[1]} pixels, the bounding box is for "
            f"{box.width} x {box.height}",
        )
    told = f"the box is ({box.x0}, {box.y0}) to ({box.x1}, {box.y1}) of {size[0]} x {size[1]}"
    if box.x1 <= box.x0 or box.y1 <= box.y0:
        raise FlawedImage(Flaw.BAD_BOX, f"nothing is in it: {told}")
    if min(box.clipped().size) <= 0:
        raise FlawedImage(Flaw.BAD_BOX, f"it is outside of the image: {told}")
    across, down = box.size
    if across > _MOST_PADDED * box.width or down > _MOST_PADDED * box.height:
        raise FlawedImage(Flaw.BAD_BOX, f"it is far larger than the image: {told}")
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
    """The size with a given shorter side and the same aspect ratio, rounded half up."""
    shorter = min(width, height)

    def scaled(side: int) -> int:
        return (2 * side * short_side + shorter) // (2 * shorter)

    return scaled(width), scaled(height)


def decode_scale(width: int, height: int, target: tuple[int, int]) -> int:
    """By how much a JPEG can be shrunk while it is decoded, so that it still has to be shrunk.

    Returns:
        1, 2, 4 or 8.
    """
    ratio = min(width / target[0], height / target[1])
    return next((scale for scale in DCT_SCALES if ratio >= scale), 1)
