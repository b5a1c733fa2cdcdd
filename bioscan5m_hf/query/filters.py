"""Check and apply ``where=``, a condition on rows: Parquet filters or an Arrow expression.

The result is the same as with ``pyarrow``, except for missing values, which are written ``None``:
``("species", "!=", None)`` gives the rows that have a species, while plain Parquet filters give no
rows at all.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bioscan5m_hf.errors import UnknownName, UsageError
from bioscan5m_hf.schema.columns import arrow_schema, column_names

Condition = tuple[str, str, Any]
Where: TypeAlias = pc.Expression | list[Condition] | list[list[Condition]] | Condition

_COMPARISONS: Final[dict[str, Callable[[pc.Expression, Any], pc.Expression]]] = {
    "==": lambda field, value: field == value,
    "!=": lambda field, value: field != value,
    "<": lambda field, value: field < value,
    "<=": lambda field, value: field <= value,
    ">": lambda field, value: field > value,
    ">=": lambda field, value: field >= value,
}
_OPERATORS: Final = (*_COMPARISONS, "=", "in", "not in")
# Names of classes of pandas, so that it need not be imported.
_MISSING: Final = ("NAType", "NaTType")
_ROW: Final = "__row"


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on rows.

    Attributes:
        expression: The condition, which reads only upstream's columns.
        columns: The columns that it reads, in upstream's order.
    """

    expression: pc.Expression
    columns: tuple[str, ...]

    @classmethod
    def of(cls, where: Where | None) -> Self | None:
        """Parse the option ``where``.

        Args:
            where: A condition ``(column, operator, value)``; a list of conditions that must all
                hold; a list of such lists, at least one of which must hold; or an Arrow expression.
                An empty list or ``None`` means every row.

        Raises:
            UnknownName: A column or an operator does not exist.
            UsageError: It has none of these forms, or a value does not fit its column.
        """
        plain = plain_where(where)
        if plain is None:
            return None
        expression = plain if isinstance(plain, pc.Expression) else _any_of(plain)
        columns = _columns_of(expression)
        made = cls(expression, columns)
        try:
            made.rows(arrow_schema(image=False).empty_table().select(columns))
        except pa.ArrowException as error:
            raise UsageError(
                f"where= does not fit the columns ({str(error).splitlines()[0]})",
                fix="compare text with text and numbers with numbers",
            ) from error
        return made

    def rows(self, table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of the rows for which the condition holds."""
        numbered = table.select(self.columns).append_column(
            _ROW, pa.array(np.arange(table.num_rows, dtype=np.int64))
        )
        found = numbered.filter(self.expression)[_ROW].to_numpy()
        # Arrow may filter batches on several threads.
        return np.sort(found)


def plain_where(where: Where | None) -> pc.Expression | list[list[Condition]] | None:
    """Turn a condition into plain Python values, which can be iterated twice, pickled and compared.

    Args:
        where: A condition, as in ``Filter.of``. Its values, and the lists of ``in``, may be objects
            of NumPy, pandas or Arrow. Missing values of pandas become ``None``.

    Returns:
        The expression, if it is one. Else groups of conditions: all conditions of at least one
        group must hold. ``None`` for every row.

    Raises:
        UnknownName: A column or an operator does not exist.
        UsageError: It has none of the forms of a condition.
    """
    if where is None or (isinstance(where, list | tuple) and not where):
        return None
    if isinstance(where, pc.Expression):
        return where
    return [[_plain_condition(entry) for entry in group] for group in _alternatives(where)]


def _plain_condition(entry: Condition) -> Condition:
    name, operator, value = entry
    _check_column(name)
    if operator not in _OPERATORS:
        raise UnknownName.of("operator", str(operator), _OPERATORS)
    if operator not in ("in", "not in"):
        return name, "==" if operator == "=" else operator, _plain(name, value)
    for listed in ("to_pylist", "tolist"):
        if hasattr(value, listed):
            value = getattr(value, listed)()
    if isinstance(value, str) or not isinstance(value, Collection):
        raise UsageError(
            f"where= needs a list after {operator!r}, not {value!r:.60}",
            fix=f'write ("{name}", "{operator}", [value, …])',
        )
    return name, operator, [_plain(name, each) for each in value]


def _plain(name: str, value: Any) -> Any:
    """Convert a value to the type of its column, so that 5 and 5.0 are equal."""
    if isinstance(value, pa.Scalar):
        value = value.as_py()
    elif isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        # An instance of a subclass, such as an enumeration, becomes a plain string.
        return str.__str__(value)
    kind = arrow_schema(image=False).field(name).type
    if isinstance(value, int | float) and not isinstance(value, bool):
        if pa.types.is_floating(kind):
            return float(value)
        if pa.types.is_integer(kind) and float(value).is_integer():
            return int(value)
    return value


def canonical_where(where: Where | None) -> str | None:
    """Turn a condition into a text that is the same for equal conditions, in every process.

    Args:
        where: A condition, as in ``Filter.of``. Tuples or lists, sets or lists of values, and their
            order make no difference.

    Returns:
        A text for comparison, not for people; ``None`` for every row.
    """
    plain = plain_where(where)
    if plain is None:
        return None
    if isinstance(plain, pc.Expression):
        # ``str`` would shorten long values.
        return pickle.dumps(plain, protocol=4).hex()
    # Called for its errors.
    Filter.of(plain)
    return repr(sorted(sorted({_described(condition) for condition in group}) for group in plain))


def _described(condition: Condition) -> str:
    name, operator, value = condition
    if operator in ("in", "not in"):
        value = sorted({repr(each) for each in value})
    return repr((name, operator, value))


def _any_of(groups: list[list[Condition]]) -> pc.Expression:
    conditions = [
        _joined([_condition(entry) for entry in group], pc.Expression.__and__) for group in groups
    ]
    return _joined(conditions, pc.Expression.__or__)


def _alternatives(where: Any) -> list[list[Condition]]:
    """The groups of conditions of ``where=``: all conditions of at least one group must hold."""
    if _is_condition(where):
        return [[where]]
    if isinstance(where, list | tuple):
        if all(_is_condition(entry) for entry in where):
            return [list(where)]
        if all(isinstance(entry, list | tuple) and entry for entry in where):
            groups = [[entry] if _is_condition(entry) else list(entry) for entry in where]
            if all(_is_condition(condition) for group in groups for condition in group):
                return groups
    raise UsageError(
        f"where= cannot be read: {where!r:.80}",
        fix='write [("order", "==", "Diptera"), …], a list of such lists, or a pyarrow expression',
    )


def _is_condition(entry: Any) -> bool:
    return isinstance(entry, list | tuple) and len(entry) == 3 and isinstance(entry[0], str)


def _joined(
    parts: list[pc.Expression], join: Callable[[pc.Expression, pc.Expression], pc.Expression]
) -> pc.Expression:
    expression = parts[0]
    for part in parts[1:]:
        expression = join(expression, part)
    return expression


def _condition(entry: Condition) -> pc.Expression:
    name, operator, value = entry
    field = pc.field(name)
    if operator in ("in", "not in"):
        return _member(name, operator, value)
    if value is None:
        if operator not in ("==", "!="):
            raise UsageError(
                f"where= compares {name} with None by {operator!r}",
                fix="compare None with == or != only",
            )
        return field.is_valid() if operator == "!=" else field.is_null()
    try:
        return _COMPARISONS[operator](field, value)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise UsageError(
            f"where= compares {name} with a value of the wrong type: {value!r:.60}",
            fix=f"the values of {name} are {arrow_schema(image=False).field(name).type}",
        ) from error


def _member(name: str, operator: str, values: list[Any]) -> pc.Expression:
    field = pc.field(name)
    kind = arrow_schema(image=False).field(name).type
    present = [value for value in values if value is not None]
    try:
        wanted = pa.array(present, kind)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise UsageError(
            f"where= lists values of the wrong type for {name} ({error})",
            fix=f"the values of {name} are {kind}",
        ) from error
    inside = field.isin(wanted)
    missing = len(present) < len(values)
    if operator == "in":
        return inside | field.is_null() if missing else inside & field.is_valid()
    # As with !=, rows with a missing value do not match, whether None is listed or not.
    return ~inside & field.is_valid()


def _check_column(name: str) -> None:
    if name not in column_names():
        raise UnknownName.of("column to filter by", name, column_names())


_REFERENCE: Final = re.compile(r"FieldRef\.(?:Name|FieldPath)\((?P<name>[^)]*)\)")


def _columns_of(expression: pc.Expression) -> tuple[str, ...]:
    """The columns that an expression reads.

    Arrow has no function for this. So for each column that the text of the expression mentions, the
    expression is bound to a schema without that column. If this fails, it reads the column.
    """
    schema = arrow_schema(image=False)
    if problem := _binding_problem(expression, schema.names):
        name = match["name"] if (match := _REFERENCE.search(problem)) else problem
        if _REFERENCE.search(problem):
            raise UnknownName.of("column to filter by", name, column_names())
        raise UsageError(
            f"where= does not fit the columns ({problem.splitlines()[0]})",
            fix="compare text with text and numbers with numbers",
        )
    # The text may mention a column's name as a value only. Unmentioned columns are not tried,
    # because binding takes milliseconds and is repeated for every split.
    named = [name for name in schema.names if name in str(expression)]
    needed = [
        name
        for name in named
        if _binding_problem(expression, [other for other in schema.names if other != name])
    ]
    # A constant reads no column, but a table needs a column to have rows.
    return tuple(needed) or (schema.names[0],)


def _binding_problem(expression: pc.Expression, names: Iterable[str]) -> str | None:
    empty = arrow_schema(image=False).empty_table().select(list(names))
    try:
        empty.filter(expression)
    except (pa.ArrowException, KeyError) as error:
        return str(error)
    return None
