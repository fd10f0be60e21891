"""One filter of a list, as SQL that both databases read the same way.

Texts are compared byte by byte; ``i…`` folds the case of ASCII letters. A text that is
empty is shown as null, and is null here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, String, and_, func, not_, or_

from gateway.event import FAILED
from gateway.store.archive.table import EVENTS
from gateway.store.operators import Operator

Value = str | int | bool

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Condition:
    """A column compared with values.

    Attributes:
        column: Of `EVENTS`, or ``failed``.
        values: At least one; pico-USD for amounts, milliseconds for durations and times.
    """

    column: str
    operator: Operator
    values: tuple[Value, ...]

    @property
    def sql(self) -> ColumnElement[bool]:
        if self.column == "failed":
            failed = EVENTS.c.status.in_(sorted(FAILED))
            wanted = self.values[0] is not (self.operator is Operator.NOT)
            return failed if wanted else not_(failed)
        column = EVENTS.c[self.column]
        if self.operator is Operator.ISNULL:
            return _is_null(column) if self.values[0] else not_(_is_null(column))
        if self.operator is Operator.NOT:
            return or_(column.not_in(self.values), column.is_(None))
        if self.operator in {Operator.EQUAL, Operator.IN}:
            return column.in_(self.values)
        return or_(*(_COMPARED[self.operator](column, value) for value in self.values))


def with_key(key: str) -> Condition:
    """Of calls with that temporary key: it has no column, and stands in the rest of a row."""
    return Condition("details", Operator.CONTAINS, (f'"key":{_json(key).decode()}',))


def _is_null(column: ColumnElement[str]) -> ColumnElement[bool]:
    if isinstance(column.type, String):
        return or_(column.is_(None), column == "")
    return column.is_(None)


def _contains(column: ColumnElement[str], value: Value) -> ColumnElement[bool]:
    """Not LIKE: that folds cases in one database, and has wildcards in both."""
    return func.replace(column, value, "") != column


def _starts(column: ColumnElement[str], value: Value) -> ColumnElement[bool]:
    return func.substr(column, 1, len(str(value))) == value


def _ends(column: ColumnElement[str], value: Value) -> ColumnElement[bool]:
    length = len(str(value))
    return and_(
        func.length(column) >= length,
        func.substr(column, func.length(column) - length + 1) == value,
    )


_COMPARED: Final[Mapping[Operator, Callable[[ColumnElement[str], Value], ColumnElement[bool]]]] = {
    Operator.IEXACT: lambda column, value: func.lower(column) == str(value).lower(),
    Operator.LT: lambda column, value: column < value,
    Operator.LTE: lambda column, value: column <= value,
    Operator.GT: lambda column, value: column > value,
    Operator.GTE: lambda column, value: column >= value,
    Operator.CONTAINS: _contains,
    Operator.ICONTAINS: lambda column, value: _contains(func.lower(column), str(value).lower()),
    Operator.STARTSWITH: _starts,
    Operator.ENDSWITH: _ends,
}
