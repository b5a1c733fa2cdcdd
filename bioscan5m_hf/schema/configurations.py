"""Declare image packages and partitions, and the configurations made of them.

A *package* is one treatment of the photographs, published in archives of its own. A *partition*
is one of the three groups of splits that upstream packs together. Every package gives one
configuration of all splits, and one of each partition; they share the same files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bioscan5m_hf.errors import UnknownName
from bioscan5m_hf.schema.columns import SPLITS, Split


@dataclass(frozen=True, slots=True)
class Package:
    """One treatment of the photographs.

    Attributes:
        name: The name of the folder of its images, and of its configuration.
        stems: How names of its archives call it, between the prefix and the partition.
        meaning: One line for the card and the command line's help.
    """

    name: str
    stems: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration, the ``name`` of ``load_dataset(path, name)``.

    Attributes:
        name: Such as ``cropped_256_train``.
        package: The package of its images; ``None`` for ``metadata``, which has no images.
        splits: The splits it covers, in upstream's order.
    """

    name: str
    package: str | None
    splits: tuple[Split, ...]


PACKAGES: Final[tuple[Package, ...]] = (
    Package("original_full", ("original_full", "original"), "full-size photographs, 1024x768"),
    Package("cropped", ("cropped",), "full-size photographs, cut to the organism"),
    Package("original_256", ("original_256",), "whole photographs, shorter side 256 pixels"),
    Package("cropped_256", ("cropped_256",), "cut to the organism, shorter side 256 pixels"),
)

PARTITIONS: Final[tuple[str, ...]] = tuple(dict.fromkeys(split.partition for split in SPLITS))

METADATA: Final = "metadata"
DEFAULT_PACKAGE: Final = "cropped_256"


def package_names() -> list[str]:
    """The names of the four packages, in upstream's order."""
    return [package.name for package in PACKAGES]


def package_named(name: str) -> Package:
    """Find a package by its name or by one of its ``stems``.

    Raises:
        UnknownName: There is no such package; the message lists them.
    """
    for package in PACKAGES:
        if name == package.name or name in package.stems:
            return package
    raise UnknownName.of("package", name, package_names())


_RESIZED: Final = re.compile(r"(original|cropped)_([1-9]\d{0,3})")


PACKAGE_PATTERN: Final = (
    f"(?:{'|'.join(package.name for package in PACKAGES)}|(?:original|cropped)_[1-9][0-9]{{0,3}})"
)
"""A regular expression for the name of a package, be it upstream's or resized by this project."""


def resized_name(kind: str, short_side: int) -> str:
    """The name of a package of resized images."""
    return f"{kind}_{short_side}"


def resized_parts(name: str) -> tuple[str, int] | None:
    """Parse the name of a package of resized images.

    Returns:
        ``original`` or ``cropped``, and the shorter side in pixels; ``None`` for any other name.
    """
    match = _RESIZED.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def described(name: str) -> Package:
    """The package of this name, be it upstream's or resized by this project.

    Raises:
        UnknownName: No package can have this name.
    """
    parts = resized_parts(name)
    if parts is None or name in package_names():
        return package_named(name)
    treatment = "cut to the organism" if parts[0] == "cropped" else "whole photographs"
    return Package(name, (), f"{treatment}, shorter side {parts[1]} pixels")


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of packages: upstream's in upstream's order, then those of other sizes.

    Args:
        names: The names; those that no package can have are left out.
    """
    held = set(names)
    others = sorted(
        (parts, name) for name in held.difference(package_names()) if (parts := resized_parts(name))
    )
    return [name for name in package_names() if name in held] + [name for _, name in others]


def splits_of(partition: str) -> tuple[Split, ...]:
    """The splits of a partition, in upstream's order."""
    return tuple(split for split in SPLITS if split.partition == partition)


def configurations(packages: Iterable[str] | None = None) -> list[Configuration]:
    """List every configuration: those of the packages first, ``metadata`` last.

    Args:
        packages: The packages to list; upstream's four by default.
    """
    wanted = package_names() if packages is None else packages
    listed: list[Configuration] = []
    for name in in_order(wanted):
        listed.append(Configuration(name, name, SPLITS))
        listed.extend(
            Configuration(f"{name}_{partition}", name, splits_of(partition))
            for partition in PARTITIONS
        )
    listed.append(Configuration(METADATA, None, SPLITS))
    return listed


def configuration_named(name: str, held: Iterable[str] | None = None) -> Configuration:
    """Find a configuration by name.

    Args:
        name: Such as ``"cropped_256"``, ``"original_256_eval"`` or ``"metadata"``. ``original`` is
            short for ``original_full``, also before a partition.
        held: The packages whose images the data have, upstream's four by default. Configurations
            of upstream's four are found even if their images are missing.

    Raises:
        UnknownName: There is no such configuration; the message lists those of the packages in
            ``held``.
    """
    there = package_names() if held is None else list(held)
    every = configurations([*package_names(), *there])
    known = {configuration.name: configuration for configuration in every}
    for package in PACKAGES:
        for stem in package.stems:
            for suffix in ("", *(f"_{partition}" for partition in PARTITIONS)):
                known.setdefault(stem + suffix, known[package.name + suffix])
    try:
        return known[name]
    except KeyError:
        valid = [configuration.name for configuration in configurations(there)]
        raise UnknownName.of("configuration", name, valid) from None
