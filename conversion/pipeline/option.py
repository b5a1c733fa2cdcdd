"""How people ask for a value: its flags, its help, and how the word that they give is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.schema.columns import SPLITS, Split, split_named
from bioscan5m_hf.schema.configurations import package_named
from bioscan5m_hf.schema.split_expressions import GROUPS

_LONGEST_COUNT: Final = 10


@dataclass(frozen=True, slots=True)
class Option:
    """How people ask for a value.

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
