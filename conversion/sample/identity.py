"""The names of a specimen: process id, sample id, and the folder that follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bioscan5m_hf.schema.columns import Split
from conversion.sample import noise

_REGIONS: Final = (
    "AR", "AU", "BE", "BR", "CA", "CO", "CR", "DE", "EC", "EG", "FI", "GM", "KE", "LP", "MA",
    "NO", "PE", "PK", "SE", "TH", "UG", "ZA",
)  # fmt: skip
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SUFFIXES: Final = len(_ALPHABET) ** 3
_RECORDS_PER_PROJECT: Final = 11_999
_FEWEST_PROJECTS: Final = 16
_WELLS_PER_PLATE: Final = 95  # the 96th well of a plate is its control


def processids(seed: int, index: NDArray[np.int64], specimens: int) -> list[str]:
    """The process ids of specimens, such as ``GMPPO5563-21``; no two are alike in any case.

    Args:
        seed: The seed of the release.
        index: Numbers of specimens.
        specimens: How many specimens the release has.
    """
    projects = max(_FEWEST_PROJECTS, specimens // 4_000 + 1)
    places = projects * _RECORDS_PER_PROJECT
    project, number = np.divmod(
        noise.scattered(seed, "processid", index, places), _RECORDS_PER_PROJECT
    )
    codes = noise.scattered(seed, "project", project, len(_REGIONS) * _SUFFIXES).tolist()
    return [
        f"{_project_code(code)}{record + 1:03d}-{20 + code % 4}"
        for code, record in zip(codes, number.tolist(), strict=True)
    ]


def _project_code(code: int) -> str:
    rest, third = divmod(code, 26)
    rest, second = divmod(rest, 26)
    region, first = divmod(rest, 26)
    return f"{_REGIONS[region]}{_ALPHABET[first]}{_ALPHABET[second]}{_ALPHABET[third]}"


def sampleids(seed: int, index: NDArray[np.int64]) -> list[str]:
    """The collectors' ids, plate and well: ``CBG-A05822-H05`` or ``BIOUG66781-F07``.

    Args:
        seed: The seed of the release.
        index: Numbers of specimens.
    """
    plates, wells = np.divmod(index, _WELLS_PER_PLATE)
    newer = noise.unit(seed, "plate", plates) < 0.45
    return [
        f"CBG-A{plate:05d}-{_well(well)}" if is_new else f"BIOUG{65_000 + plate:05d}-{_well(well)}"
        for plate, well, is_new in zip(plates.tolist(), wells.tolist(), newer.tolist(), strict=True)
    ]


def _well(number: int) -> str:
    return f"{_ALPHABET[number // 12]}{number % 12 + 1:02d}"


def digests(ids: Iterable[str]) -> list[str]:
    """The first two hex digits of md5(processid), which name the folders of images."""
    return [
        hashlib.md5(processid.encode(), usedforsecurity=False).hexdigest()[:2] for processid in ids
    ]


def chunk(digest: str, split: Split) -> str:
    """The folder of an image within its split, empty where images lie in the split itself.

    Args:
        digest: The leading hex digits of md5(processid).
        split: The split of the specimen.
    """
    return digest[: split.chunk_digits]
