"""Parse sizes in bytes as people write them, such as 500MB, and format them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from bioscan5m_hf.errors import UsageError

_DECIMAL: Final = ("kB", "MB", "GB", "TB")
_BINARY: Final = ("KiB", "MiB", "GiB", "TiB")
_UNITS: Final = {
    "": 1,
    **{unit.lower(): 1000**power for power, unit in enumerate(_DECIMAL, 1)},
    **{unit.lower(): 1024**power for power, unit in enumerate(_BINARY, 1)},
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII)
_LONGEST: Final = 40
_LARGEST: Final = 2**63 - 1
# A smaller size without a unit is an error, because the user probably meant megabytes.
_LEAST_WITHOUT_UNIT: Final = 100_000


def parse_size(text: str) -> int:
    """Parse a size in bytes, such as 500MB (decimal) or 1GiB (binary).

    Raises:
        UsageError: It is not a size, or not a plausible one.
    """
    given = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    match = _SIZE.fullmatch(text.lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"{given!r} is not a size", fix="write one such as 500MB or 1GiB")
    digits, unit = match.groups()
    if len(digits) > _LONGEST or (size := int(Fraction(digits) * _UNITS[unit])) > _LARGEST:
        raise UsageError(
            f"{given!r} is more than any disk holds", fix="write a size such as 500MB or 1GiB"
        )
    if not size:
        raise UsageError(f"{given!r} is zero bytes", fix="write a size such as 500MB or 1GiB")
    if not unit and size < _LEAST_WITHOUT_UNIT:
        raise UsageError(f"{given!r} has no unit and is {size:,} bytes", fix=f"write {digits}MB")
    return size


def readable_size(count: int) -> str:
    """Format a number of bytes in decimal units."""
    if count < 1000:
        return f"{count:,} bytes"
    value = float(count)
    for unit in _DECIMAL[:-1]:
        value /= 1000
        if value < 1000:
            return f"{value:,.1f} {unit}"
    return f"{value / 1000:,.1f} {_DECIMAL[-1]}"
