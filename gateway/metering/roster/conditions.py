"""What a list may be narrowed down by, and which part of an order answers it. Pure.

A condition decides by the row alone. Where an order has all rows that can meet it side by
side, `parts` says where: those are found without a look at the others. A part may have more
rows than meet the condition (texts are sorted without case), never fewer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from gateway.metering.roster.rows import SCORES, TEXTS, Column, Row, folded, member
from gateway.store.operators import Operator

Value = str | Decimal

EXACT_MAX: Final = 2**53
"""Up to here a score is the whole number that it stands for."""


NUMBERS: Final[Mapping[Column, Callable[[Row], int]]] = {
    Column.REQUESTS: lambda row: row.requests,
    Column.TOKENS: lambda row: row.total_tokens,
    Column.CHARGE: lambda row: row.charge_pico,
    Column.ACTIVE_DAYS: lambda row: row.active_days,
}
STRINGS: Final[Mapping[Column, Callable[[Row], str | None]]] = {
    Column.IDENTIFIER: lambda row: row.identifier,
    Column.NAME: lambda row: row.name,
    Column.EMAIL: lambda row: row.email,
}


class Part(NamedTuple):
    """Part of an order, with its ends as ZRANGE takes them, by score or by lex."""

    column: Column
    start: bytes
    end: bytes


def whole(column: Column) -> Part:
    return Part(column, b"-", b"+") if column in TEXTS else Part(column, b"-inf", b"+inf")


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter.

    Attributes:
        values: Those compared with, at least one: any of them, with NOT none of them. Charges
            are in pico-USD. With ISNULL the one says ``true`` or ``false``.
    """

    column: Column
    operator: Operator
    values: tuple[Value, ...]

    def meets(self, row: Row) -> bool:
        if self.column in NUMBERS:
            return self._meets_number(NUMBERS[self.column](row))
        return self._meets_text(STRINGS[self.column](row))

    @property
    def parts(self) -> tuple[Part, ...] | None:
        """Where all rows are that can meet it; None: they are all over the place."""
        if self.column in NUMBERS:
            return self._parts_of_number()
        return self._parts_of_text()

    @property
    def part(self) -> Part | None:
        """The one part whose rows are exactly those that meet it, if there is one."""
        if self.column not in NUMBERS or len(self.values) != 1 or self.parts is None:
            return None
        return self.parts[0] if _is_score(self._numbers[0]) else None

    @property
    def _numbers(self) -> list[Decimal]:
        return [value for value in self.values if isinstance(value, Decimal)]

    @property
    def _texts(self) -> list[str]:
        return [value for value in self.values if isinstance(value, str)]

    def _meets_number(self, number: int) -> bool:
        if self.operator is Operator.ISNULL:
            return self.values[0] == "false"  # a count is never null
        if self.operator is Operator.NOT:
            return all(number != value for value in self._numbers)
        compare = _COMPARE[self.operator]
        return any(compare(number, value) for value in self._numbers)

    def _meets_text(self, text: str | None) -> bool:
        if self.operator is Operator.ISNULL:
            return (text is None) == (self.values[0] == "true")
        if self.operator is Operator.NOT:
            return all(text != value for value in self._texts)
        compare = _COMPARE_TEXT[self.operator]
        return text is not None and any(compare(text, value) for value in self._texts)

    def _parts_of_number(self) -> tuple[Part, ...] | None:
        if self.operator not in _NUMBER_ENDS:
            return None
        return tuple(_part_of(self.column, self.operator, number) for number in self._numbers)

    def _parts_of_text(self) -> tuple[Part, ...] | None:
        if self.operator is Operator.ISNULL:
            return (equal_to(self.column, ""),) if self.values[0] == "true" else None
        make = _TEXT_PARTS.get(self.operator)
        return make and tuple(make(self.column, text) for text in self._texts)


@dataclass(frozen=True, slots=True)
class Search:
    """What begins, in identifier, name or email, with a text; without case."""

    text: str

    def meets(self, row: Row) -> bool:
        wanted = folded(self.text)
        return any(text(row).startswith(wanted) for text in TEXTS.values())

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(beginning_with(column, self.text) for column in TEXTS)

    @property
    def part(self) -> None:
        """A row may be in several."""


@dataclass(frozen=True, slots=True)
class Seen:
    """First or last seen within [since, until), Unix ms; without a start, also never."""

    column: Column
    since_ms: int | None = None
    until_ms: int | None = None

    def meets(self, row: Row) -> bool:
        at_ms = SCORES[self.column](row)
        return (self.since_ms is None or at_ms >= self.since_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.part,)

    @property
    def part(self) -> Part:
        start = b"-inf" if self.since_ms is None else b"%d" % self.since_ms
        end = b"+inf" if self.until_ms is None else b"(%d" % self.until_ms
        return Part(self.column, start, end)


@dataclass(frozen=True, slots=True)
class Among:
    """Only some customers, whom somebody else has found: number -> index of the partition."""

    places: Mapping[int, int]

    def meets(self, row: Row) -> bool:
        return row.number in self.places

    @property
    def members(self) -> list[str]:
        return [member(number, partition) for number, partition in self.places.items()]

    @property
    def parts(self) -> None:
        """They are all over the place; but each is known."""

    @property
    def part(self) -> None:
        """None of them is whole."""


Narrowing = Condition | Search | Seen | Among


def beginning_with(column: Column, text: str) -> Part:
    """No byte of UTF-8 is 0xff."""
    wanted = folded(text).encode()
    return Part(column, b"[" + wanted, b"(" + wanted + b"\xff")


def equal_to(column: Column, text: str) -> Part:
    """Behind a text, an order has a zero byte and the customer."""
    wanted = folded(text).encode()
    return Part(column, b"[" + wanted + b"\0", b"(" + wanted + b"\1")


def meets_all(narrowings: Sequence[Narrowing], row: Row) -> bool:
    return all(narrowing.meets(row) for narrowing in narrowings)


def place_in(column: Column, row: Row) -> tuple[float, bytes]:
    """What an order sorts by, as the store does."""
    if column in SCORES:
        return SCORES[column](row), row.member.encode()
    return 0.0, f"{TEXTS[column](row)}\0{row.member}".encode()


_COMPARE: Final[Mapping[Operator, Callable[[int, Decimal], bool]]] = {
    Operator.EQUAL: lambda number, value: number == value,
    Operator.IN: lambda number, value: number == value,
    Operator.LT: lambda number, value: number < value,
    Operator.LTE: lambda number, value: number <= value,
    Operator.GT: lambda number, value: number > value,
    Operator.GTE: lambda number, value: number >= value,
}
_COMPARE_TEXT: Final[Mapping[Operator, Callable[[str, str], bool]]] = {
    Operator.EQUAL: lambda text, value: text == value,
    Operator.IN: lambda text, value: text == value,
    Operator.IEXACT: lambda text, value: text.casefold() == value.casefold(),
    Operator.LT: lambda text, value: text < value,
    Operator.LTE: lambda text, value: text <= value,
    Operator.GT: lambda text, value: text > value,
    Operator.GTE: lambda text, value: text >= value,
    Operator.CONTAINS: lambda text, value: value in text,
    Operator.ICONTAINS: lambda text, value: value.casefold() in text.casefold(),
    Operator.STARTSWITH: lambda text, value: text.startswith(value),
    Operator.ENDSWITH: lambda text, value: text.endswith(value),
}
_TEXT_PARTS: Final[Mapping[Operator, Callable[[Column, str], Part]]] = {
    Operator.EQUAL: equal_to,
    Operator.IN: equal_to,
    Operator.IEXACT: equal_to,
    Operator.STARTSWITH: beginning_with,
}
_NUMBER_ENDS: Final = frozenset(
    {*(Operator.EQUAL, Operator.IN), *(Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)}
)


def _part_of(column: Column, operator: Operator, value: Decimal) -> Part:
    score = repr(float(value)).encode()
    # A value that is no score is rounded to one, which may be that of a row that meets it.
    strictly = b"(" + score if _is_score(value) else score
    match operator:
        case Operator.LT:
            return Part(column, b"-inf", strictly)
        case Operator.LTE:
            return Part(column, b"-inf", score)
        case Operator.GT:
            return Part(column, strictly, b"+inf")
        case Operator.GTE:
            return Part(column, score, b"+inf")
    return Part(column, score, score)


def _is_score(value: Decimal) -> bool:
    return abs(value) <= EXACT_MAX and value == value.to_integral_value()
