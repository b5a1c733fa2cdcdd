"""Declare an option of a command: its flags, its help, and how its value is parsed."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.schema.columns import RANKS, SPLITS, Split, split_named
from bioscan5m_hf.schema.configurations import package_named
from bioscan5m_hf.schema.split_expressions import GROUPS

_LONGEST_COUNT: Final = 10
_SCHEMES: Final = ("tcp", "tls")


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command.

    Attributes:
        flags: Such as ``--output`` and ``-o``; empty for a positional argument without a flag.
        help: What it does, beginning with a small letter.
        metavar: The placeholder for the word in the help; ``None`` for a switch.
        read: Parses a word into the value; raises ``UsageError`` if the word is not valid.
        names: The valid words, if they are few; for help and completion.
        default: The value if the option is not given.
        shown: The default as the help shows it.
        position: Whether it may be given without a flag, in the order of the declarations.
        required: Whether it must be given.
        repeated: Whether it may be given several times, or as several words with commas. The
            values, or tuples of values, of all words are joined in one tuple.
        bare: The word that a flag without a word stands for; ``None`` if it needs a word.
        needs: Flags of which at least one must also be given.
    """

    flags: tuple[str, ...]
    help: str
    metavar: str | None = None
    read: Callable[[str], Any] = str
    names: tuple[str, ...] = ()
    default: Any = None
    shown: str | None = None
    position: bool = False
    required: bool = False
    repeated: bool = False
    bare: str | None = None
    needs: tuple[str, ...] = ()


class Effect(enum.Enum):
    """The effect of an option on the files of a dataset folder."""

    NONE = "the same files"
    """For example, how many processes make the files."""

    CHOICE = "other inputs"
    """It decides what is read and made; the fingerprint contains the resulting inputs."""

    VALUE = "other files"
    """The fingerprint contains the value itself."""


def read_count(text: str) -> int:
    """Parse a whole number above zero.

    Raises:
        UsageError: It is not one, or it is too large.
    """
    if not (text.isdecimal() and int(text[:_LONGEST_COUNT])):
        shown = text if len(text) <= _LONGEST_COUNT else f"{text[:_LONGEST_COUNT]}…"
        raise UsageError(f"{shown!r} is not a whole number above zero", fix="write one such as 4")
    if len(text) > _LONGEST_COUNT:
        raise UsageError(f"{text[:_LONGEST_COUNT]}… is too large", fix="write a smaller number")
    return int(text)


def read_package(text: str) -> str:
    """Return the canonical name of a package.

    Raises:
        UnknownName: There is no package of that name.
    """
    return package_named(text).name


def read_splits(text: str) -> tuple[Split, ...]:
    """Return the splits of an expression, such as ``val``, ``seen`` or ``train+val``.

    Raises:
        UnknownName: There is no split or group of that name.
    """
    found: list[Split] = []
    for name in text.split("+"):
        if name not in GROUPS and name not in split_names():
            raise UnknownName.of("split", name, [*split_names(), *GROUPS])
        found += [split_named(member) for member in GROUPS.get(name, (name,))]
    return tuple(found)


def split_names() -> list[str]:
    """The upstream and the published names of all splits."""
    return [*dict.fromkeys(name for split in SPLITS for name in (split.name, split.published))]


def read_one_of(kind: str, *words: str) -> Callable[[str], str]:
    """Return a parser that accepts only the given words.

    Args:
        kind: What the words name, for the error message.
        words: The words.
    """

    def read(text: str) -> str:
        if text not in words:
            raise UnknownName.of(kind, text, words)
        return text

    return read


def read_scheduler(text: str) -> str:
    """Return the address of a scheduler, such as ``tcp://host:8786``; ``tcp://`` is optional.

    Raises:
        UsageError: It is not such an address.
    """
    address = text if "://" in text else f"tcp://{text}"
    try:
        parts = urlsplit(address)
        fits = bool(parts.hostname and parts.port and parts.scheme in _SCHEMES)
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(
            f"{text!r} is not the address of a scheduler", fix="name one such as tcp://host:8786"
        )
    return address


def read_where(text: str) -> str:
    """Check a condition on the columns, and return its text.

    Raises:
        UsageError: It cannot be parsed, or a column does not exist.
    """
    # Not at the top: Arrow takes long to import, and this option is rarely used.
    from bioscan5m_hf.query.filters import Filter
    from bioscan5m_hf.query.text import parse_where

    Filter.of(parse_where(text))
    return text.strip()


@dataclass(frozen=True, slots=True)
class PerTaxon:
    """How many specimens to take of each taxon.

    Attributes:
        rank: The rank of the taxa.
        least: A taxon with fewer specimens is left out.
        most: The number of specimens to take at most of each taxon.
    """

    rank: str
    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.rank}:{self.least}:{self.most}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse ``RANK:LEAST:MOST``, such as ``family:10:50``.

        Raises:
            UnknownName: There is no such rank.
            UsageError: The text does not have this form.
        """
        parts = text.split(":")
        if len(parts) != 3:
            raise UsageError(
                f"{text!r:.60} is not of the form RANK:LEAST:MOST", fix="write family:10:50"
            )
        if parts[0] not in RANKS:
            raise UnknownName.of("rank", parts[0], RANKS)
        return cls(parts[0], read_count(parts[1]), read_count(parts[2]))
