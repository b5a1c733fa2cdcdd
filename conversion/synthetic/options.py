"""Declare the options of a synthetic release."""

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
    """A synthetic release; the help of ``bioscan5m sample`` describes each field.

    Equal options give equal bytes for any number of ``workers``. The folder ``root`` must be empty
    or missing. Without packages, only metadata are written.
    """

    root: Path
    specimens: int
    seed: int = 0  # not below 0
    packages: tuple[str, ...] = field(default_factory=lambda: tuple(package_names()))
    layout: Layout = "groups"
    names: Names = "hub"
    metadata: tuple[MetadataFile, ...] = ("csv", "jsonld")
    workers: int = field(default_factory=processors)
    tiny: bool = False
    distinct: int = 3_000
