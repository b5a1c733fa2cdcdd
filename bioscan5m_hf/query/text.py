"""Parse a condition on rows that is written as one line of text, for the command line.

    order = Diptera and family in (Cecidomyiidae, Sciaridae) and coord-lat > 60
    species is not missing or dna_bin = BOLD:ACW1968

The result is a value for ``where=``: a list of alternatives, each a list of conditions.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Any, Final

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.query.filters import Condition
from bioscan5m_hf.schema.columns import COLUMNS, Kind, column_names

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<quoted>"[^"]*"|'[^']*') | (?P<sign><=|>=|!=|==|=|<|>|\(|\)|,)"""
    r"""| (?P<word>[^\s"'<>=!(),]+) )""",
    re.VERBOSE,
)
_COMPARISONS: Final = ("=", "==", "!=", "<", "<=", ">", ">=")
_RESERVED: Final = ("and", "or", "not", "in", "is")
_KINDS: Final = {column.name: column.kind for column in COLUMNS}
_EXAMPLE: Final = "write for example: order = Diptera and family in (Cecidomyiidae, Sciaridae)"
_MOST_ALTERNATIVES: Final = 1000


def parse_where(text: str) -> list[list[Condition]]:
    """Parse a condition.

    Comparisons are ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in (…)``, ``not in (…)``,
    ``is missing`` and ``is not missing``, joined by ``and``, ``or`` and parentheses. Quotes are
    needed only around a value that contains one of these signs or words.

    Returns:
        Alternatives, each a list of conditions that must all hold.

    Raises:
        UnknownName: There is no such column; the message lists them.
        UsageError: The text cannot be parsed, or a value must be a number and is not.
    """
    parser = _Parser(text, _tokens(text))
    found = parser.alternatives()
    parser.expect_end()
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    quoted: bool = False

    def means(self, *words: str) -> bool:
        return not self.quoted and self.text.lower() in words


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at + len(text[at:]) - len(text[at:].lstrip()))
        quoted = match["quoted"]
        word = quoted[1:-1] if quoted else match[0].strip()
        found.append(_Token(word, match.end() - len(match[0].lstrip()), quoted is not None))
        at = match.end()
    return found


def _unreadable(text: str, at: int) -> UsageError:
    return UsageError(
        f"the condition {text!r} cannot be read at {text[at : at + 20]!r}"
        if text[at:].strip()
        else f"the condition {text!r} ends too early",
        fix=_EXAMPLE,
    )


class _Parser:
    """A recursive descent parser of the tokens of one condition."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0

    def alternatives(self) -> list[list[Condition]]:
        found = self._together()
        while self._take("or"):
            found = found + self._together()
        return found

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._error()

    def _together(self) -> list[list[Condition]]:
        found = self._one()
        while self._take("and"):
            others = self._one()
            if len(found) * len(others) > _MOST_ALTERNATIVES:
                raise UsageError(f"the condition {self._text!r} has too many alternatives")
            found = [left + right for left, right in itertools.product(found, others)]
        return found

    def _one(self) -> list[list[Condition]]:
        if self._take("("):
            found = self.alternatives()
            self._require(")")
            return found
        column = self._next().text
        if column not in _KINDS:
            raise UnknownName.of("column", column, column_names())
        return [[self._comparison(column)]]

    def _comparison(self, column: str) -> Condition:
        if self._take("is"):
            operator = "!=" if self._take("not") else "=="
            self._require("missing", "null")
            return column, operator, None
        if self._take("not"):
            self._require("in")
            return column, "not in", self._list(column)
        if self._take("in"):
            return column, "in", self._list(column)
        operator = next((sign for sign in _COMPARISONS if self._take(sign)), "")
        if not operator:
            raise self._error()
        return column, operator if operator != "=" else "==", self._value(column)

    def _list(self, column: str) -> list[Any]:
        self._require("(")
        values = [self._value(column)]
        while self._take(","):
            values.append(self._value(column))
        self._require(")")
        return values

    def _value(self, column: str) -> Any:
        token = self._next()
        words = [token.text]
        if not token.quoted:
            if token.means(*_RESERVED, *_COMPARISONS, "(", ")", ","):
                self._at -= 1
                raise self._error()
            while (following := self._peek()) and not (
                following.quoted or following.means("and", "or", *_COMPARISONS, "(", ")", ",")
            ):
                words.append(self._next().text)
        return self._typed(column, " ".join(words))

    def _typed(self, column: str, value: str) -> Any:
        kind = _KINDS[column]
        if kind is Kind.STRING:
            return value
        try:
            return float(value) if kind is Kind.FLOAT else int(value)
        except ValueError:
            raise UsageError(
                f"{column} is compared with {value!r}, which is not a number",
                fix=f"compare {column} with a number",
            ) from None

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise self._error()
        self._at += 1
        return token

    def _take(self, *words: str) -> bool:
        token = self._peek()
        if token is None or not token.means(*words):
            return False
        self._at += 1
        return True

    def _require(self, *words: str) -> None:
        if not self._take(*words):
            raise self._error()

    def _error(self) -> UsageError:
        token = self._peek()
        return _unreadable(self._text, token.start if token else len(self._text))
