"""Declare how people ask for a value: its flags, its help, and how their word for it is read."""

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
        flags: Such as ``--output`` and ``-o``; none for what is given by its position alone.
        help: What it does, beginning with a small letter.
        metavar: What stands for the word in the help; none for a switch.
        read: Turns a word into the value; raises ``UsageError`` where it is none.
        names: The words that may be given, where they are few; for help and completion.
        default: The value where nobody asks.
        shown: The default as people read it.
        position: Whether it may be given without a flag, in the order of the declarations.
        required: Whether it must be given.
        repeated: Whether it may be given several times, or several words with commas; what each
            word stands for, one value or a tuple, is joined in a tuple.
        bare: The word that the flag stands for alone, if it may.
        needs: Flags of which one must be given too.
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
    """Such as how many processes make them."""

    CHOICE = "other inputs"
    """It says what is read and made; the fingerprint has the inputs that come of it."""

    VALUE = "other files"
    """The fingerprint has the value itself."""


def read_count(text: str) -> int:
    """Read a whole number above zero.

    Raises:
        UsageError: It is none, or more than can be meant.
    """
    if not (text.isdecimal() and int(text[:_LONGEST_COUNT])):
        shown = text if len(text) <= _LONGEST_COUNT else f"{text[:_LONGEST_COUNT]}…"
        raise UsageError(f"{shown!r} is not a whole number above zero", fix="write one such as 4")
    if len(text) > _LONGEST_COUNT:
        raise UsageError(f"{text[:_LONGEST_COUNT]}… is too large", fix="write a smaller number")
    return int(text)


def read_package(text: str) -> str:
    """The own name of a package.

    Raises:
        UnknownName: There is none of that name.
    """
    return package_named(text).name


def read_splits(text: str) -> tuple[Split, ...]:
    """The splits of a name, such as ``val``, ``seen`` or ``train+val``.

    Raises:
        UnknownName: There is none of that name.
    """
    found: list[Split] = []
    for name in text.split("+"):
        if name not in GROUPS and name not in split_names():
            raise UnknownName.of("split", name, [*split_names(), *GROUPS])
        found += [split_named(member) for member in GROUPS.get(name, (name,))]
    return tuple(found)


def split_names() -> list[str]:
    """The names that a split goes by, upstream's and the published ones."""
    return [*dict.fromkeys(name for split in SPLITS for name in (split.name, split.published))]


def read_one_of(kind: str, *words: str) -> Callable[[str], str]:
    """What reads one of a few words.

    Args:
        kind: What they name, for the message.
        words: The words.
    """

    def read(text: str) -> str:
        if text not in words:
            raise UnknownName.of(kind, text, words)
        return text

    return read


def read_scheduler(text: str) -> str:
    """The address of a scheduler, such as ``tcp://host:8786``; ``tcp://`` may be left out.

    Raises:
        UsageError: It is none.
    """
    address = text if "://" in text else f"tcp://{text}"
    try:
        parts = urlsplit(address)
        fits = bool(parts.hostname and parts.port and parts.scheme in _SCHEMES)
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(
            f"{text!r} is no address of a scheduler", fix="name one such as tcp://host:8786"
        )
    return address


def read_where(text: str) -> str:
    """A condition on the columns, which can be read.

    Raises:
        UsageError: It cannot be read, or a column does not exist.
    """
    # Not at the top: Arrow takes long to import, and few ask.
    from bioscan5m_hf.query.filters import Filter
    from bioscan5m_hf.query.text import parse_where

    Filter.of(parse_where(text))
    return text.strip()


@dataclass(frozen=True, slots=True)
class PerTaxon:
    """The number of specimens of each taxon that are wanted.

    Attributes:
        rank: The rank of the taxa.
        least: A taxon with fewer has none.
        most: Of a taxon with more, so many.
    """

    rank: str
    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.rank}:{self.least}:{self.most}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read ``RANK:LEAST:MOST``, such as ``family:10:50``.

        Raises:
            UnknownName: There is no such rank.
            UsageError: It is something else.
        """
        parts = text.split(":")
        if len(parts) != 3:
            raise UsageError(
                f"{text!r:.60} is not of the form RANK:LEAST:MOST", fix="write family:10:50"
            )
        if parts[0] not in RANKS:
            raise UnknownName.of("rank", parts[0], RANKS)
        return cls(parts[0], read_count(parts[1]), read_count(parts[2]))
