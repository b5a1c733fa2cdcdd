"""Define what a synthetic release may be asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.configurations import package_names

Layout = Literal["groups", "full", "parts", "folder"]
Names = Literal["hub", "seed"]
MetadataFile = Literal["csv", "jsonld", "zip"]

LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
NAMES: Final[tuple[Names, ...]] = get_args(Names)
METADATA: Final[tuple[MetadataFile, ...]] = get_args(MetadataFile)


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """A synthetic release.

    Equal options give equal bytes, whatever ``workers`` is.

    Attributes:
        root: The folder to write; it must not exist or be empty.
        specimens: How many specimens, at least one for each split.
        seed: Any integer; another one gives another release.
        packages: Names of the image packages to write; none for metadata alone.
        layout: ``groups`` for one zip per package and partition, ``full`` for one per package,
            ``parts`` for numbered zips, ``folder`` for the unpacked tree.
        names: ``hub`` for names such as ``BIOSCAN_5M_original_full.zip``, ``seed`` for such as
            ``BIOSCAN_original.zip``.
        metadata: Which metadata files to write.
        workers: How many processes draw and write.
        tiny: Whether images are a few pixels in size, for tests of scale.
        distinct: How many different photographs are drawn at most; further specimens reuse them.
    """

    root: Path
    specimens: int
    seed: int = 0
    packages: tuple[str, ...] = field(default_factory=lambda: tuple(package_names()))
    layout: Layout = "groups"
    names: Names = "hub"
    metadata: tuple[MetadataFile, ...] = ("csv", "jsonld")
    workers: int = field(default_factory=processors)
    tiny: bool = False
    distinct: int = 3_000

    @property
    def entropy(self) -> int:
        """The seed as generators of random numbers take it, which is not below 0."""
        return self.seed % (1 << 64)

    @property
    def photographs(self) -> int:
        """How many different photographs are drawn."""
        return min(self.specimens, self.distinct)
