"""Define the options of a synthetic release, and the summary of what was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.processors import processors
from bioscan5m_hf.schema.configurations import Package, package_named, package_names
from conversion.synthetic.population import split_counts

Layout = Literal["groups", "full", "parts", "folder"]
Names = Literal["hub", "seed"]
MetadataFile = Literal["csv", "jsonld", "zip"]

_MOST_PHOTOGRAPHS: Final = 3_000


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
            By default 3,000.

    Raises:
        UsageError: The options contradict each other or ask for too little.
        UnknownName: There is no such package, layout, naming or metadata file.
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
    distinct: int | None = None

    def __post_init__(self) -> None:
        split_counts(self.specimens)
        for name in self.packages:
            package_named(name)
        _check("layout", self.layout, get_args(Layout))
        _check("naming", self.names, get_args(Names))
        for name in self.metadata:
            _check("metadata file", name, get_args(MetadataFile))
        if self.workers < 1:
            raise UsageError(f"{self.workers} processes cannot work", fix="ask for at least 1")
        if self.distinct is not None and self.distinct < 1:
            raise UsageError(
                f"specimens cannot share {self.distinct} photographs", fix="ask for at least 1"
            )

    @property
    def wanted(self) -> tuple[Package, ...]:
        """The packages to write, each once, in the order asked for."""
        return tuple(dict.fromkeys(package_named(name) for name in self.packages))

    @property
    def entropy(self) -> int:
        """The seed as generators of random numbers take it, which is not below 0."""
        return self.seed % (1 << 64)

    @property
    def photographs(self) -> int:
        """How many different photographs are drawn."""
        limit = _MOST_PHOTOGRAPHS if self.distinct is None else self.distinct
        return min(self.specimens, limit)


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What was written.

    Attributes:
        files: How many files.
        size: Their bytes together.
        specimens: How many specimens each split has.
        images: How many images each package has.
    """

    files: int
    size: int
    specimens: Mapping[str, int]
    images: Mapping[str, int]


def _check(kind: str, given: str, valid: tuple[str, ...]) -> None:
    if given not in valid:
        raise UnknownName.of(kind, given, valid)
