"""Which logs a request asks for: quick filters of the query, and filters of the body.

{"filters": {"cost": {"operator": "gt", "value": [0.01]}}}
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial
from typing import Any, Final, NamedTuple

from gateway.api.answers import InvalidFields
from gateway.api.customers import Customers
from gateway.api.query import Query
from gateway.api.services import Services
from gateway.api.times import moment
from gateway.event import Source, Status
from gateway.metering.roster.conditions import Condition as OfCustomer
from gateway.metering.roster.roster import Wanted as Roll
from gateway.metering.roster.rows import Column
from gateway.store.archive import Condition, LogFilter
from gateway.store.operators import OF_FLAGS, OF_NUMBERS, OF_TEXT, Operator
from pricing.money import PICO_PER_USD

VALUES_MAX: Final = 100
CUSTOMERS_MAX: Final = 1_000
TEXT_MAX: Final = 512

Value = str | int | bool


class Field(NamedTuple):
    """A filter.

    Attributes:
        column: That it is about.
        read: A value; of a number what the column would have, with its fraction.
        operators: What it can be asked.
        numbers_end: Where the column's numbers end, on both sides.
    """

    column: str
    read: Callable[[object], Value | Decimal]
    operators: frozenset[Operator]
    numbers_end: int = 2**63

    def value(self, operator: Operator, said: object) -> Value:
        """What the column is compared with, so that `operator` finds what it would of `said`.

        Raises:
            ValueError: says what is expected.
        """
        value = _text(said) if operator in _PARTS else self.read(said)
        if not isinstance(value, Decimal):
            return value
        rounding = _ROUNDING.get(operator)
        if rounding is None and value != value.to_integral_value():
            return -self.numbers_end  # no row has it
        return int(value.to_integral_value(rounding))


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > TEXT_MAX:
        raise ValueError(f"value must be text of at most {TEXT_MAX} characters")
    return value


def _one_of(known: type[Status] | type[Source]) -> Callable[[object], str]:
    names = [member.value for member in known]

    def read(value: object) -> str:
        if value not in names:
            raise ValueError("value must be one of " + ", ".join(names))
        return str(value)

    return read


def _scaled(factor: int, end: int = 2**63) -> Callable[[object], Decimal]:
    """Numbers, in a unit of the archive, which has whole ones only."""

    def read(value: object) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("value must be a number")
        try:
            number = Decimal(str(value))
        except ArithmeticError as exc:
            raise ValueError("value must be a number") from exc
        if not number.is_finite() or number.copy_abs() >= end // factor:
            raise ValueError(f"value must be a number below {end // factor:,}")
        return number * factor

    return read


def _flag(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise ValueError("value must be true or false")
    return value


_INT4: Final = 2**31
_count, _usd, _seconds = _scaled(1), _scaled(PICO_PER_USD), _scaled(1_000)

FIELDS: Final[Mapping[str, Field]] = {
    "unique_id": Field("request_id", _text, OF_TEXT),
    "model": Field("model", _text, OF_TEXT),
    "provider_id": Field("provider", _text, OF_TEXT),
    "app": Field("app", _text, OF_TEXT),
    "endpoint": Field("endpoint", _text, OF_TEXT),
    "status": Field("status", _one_of(Status), OF_TEXT),
    "usage_source": Field("source", _one_of(Source), OF_TEXT),
    "finish_reason": Field("finish_reason", _text, OF_TEXT),
    "error_code": Field("error_code", _text, OF_TEXT),
    "upstream_request_id": Field("upstream_request_id", _text, OF_TEXT),
    "metadata": Field("metadata", _text, OF_TEXT),
    "status_code": Field("status_code", _scaled(1, _INT4), OF_NUMBERS, _INT4),
    "prompt_tokens": Field("input_tokens", _count, OF_NUMBERS),
    "completion_tokens": Field("output_tokens", _count, OF_NUMBERS),
    "cached_tokens": Field("cached_tokens", _count, OF_NUMBERS),
    "reasoning_tokens": Field("reasoning_tokens", _count, OF_NUMBERS),
    "cost": Field("cost_pico", _usd, OF_NUMBERS),
    "charge": Field("charge_pico", _usd, OF_NUMBERS),
    "latency": Field("latency_ms", _seconds, OF_NUMBERS),
    "time_to_first_token": Field("first_token_ms", _seconds, OF_NUMBERS),
    "stream": Field("stream", _flag, OF_FLAGS),
    "failed": Field("failed", _flag, OF_FLAGS),
}
PEOPLE: Final[Mapping[str, Column]] = {
    "customer_identifier": Column.IDENTIFIER,
    "customer_email": Column.EMAIL,
}
QUICK: Final = (*PEOPLE, *FIELDS)
"""Filters that may stand in the query string, and mean equality."""

PARAMETERS: Final = (*QUICK, "start_time", "end_time")

_OPERATORS: Final = {operator.value: operator for operator in Operator}
_INDEXED: Final = ("request_id", "model", "app", "status", "status_code")
"""Columns whose equality an index answers: `LogFilter` has a field for each."""


class LogFilters:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._customers = Customers(services)

    async def read(self, query: Query, filters: object = None) -> LogFilter:
        """What a request asks for.

        Raises:
            InvalidFields: names every faulty parameter or filter.
        """
        zone = self._services.zone
        wanted = LogFilter(
            start_ms=query.get("start_time", lambda text: moment(text, zone)),
            end_ms=query.get("end_time", lambda text: moment(text, zone)),
            customer_numbers=await self._customers.wanted(query),
        )
        for name, field in FIELDS.items():
            value = query.get(name, partial(_quick, field))
            if value is not None:
                wanted = _with(wanted, Condition(field.column, Operator.EQUAL, (value,)))
        email = query.text("customer_email")
        if email is not None:
            wanted = await self._of_people(
                wanted, "customer_email", OfCustomer(Column.EMAIL, Operator.EQUAL, (email,))
            )
        errors = {}
        start_ms, end_ms = wanted.start_ms, wanted.end_ms
        if start_ms is not None and end_ms is not None and start_ms > end_ms:
            errors["start_time"] = "start_time must not be after end_time."
        for name, asked in _filters(filters).items():
            try:
                wanted = await self._also(wanted, name, asked)
            except ValueError as exc:
                errors[f"filters.{name[:64]}"] = f"{exc}."
        if errors:
            raise InvalidFields(errors)
        return wanted

    async def _also(self, wanted: LogFilter, name: str, asked: object) -> LogFilter:
        if name in PEOPLE:
            operator, values = _asked(asked, OF_TEXT - {Operator.ISNULL})
            texts = tuple(_text(value) for value in values)
            return await self._of_people(wanted, name, OfCustomer(PEOPLE[name], operator, texts))
        if name == "timestamp":
            operator, values = _asked(asked, _OF_TIMES)
            times = tuple(moment(_text(value), self._services.zone) for value in values)
            return _with(wanted, Condition("at_ms", operator, times))
        if name not in FIELDS:
            raise ValueError("Unknown field. Filters are for " + ", ".join((*QUICK, "timestamp")))
        field = FIELDS[name]
        operator, values = _asked(asked, field.operators)
        if operator is Operator.ISNULL:
            return _with(wanted, Condition(field.column, operator, (_flag(*values),)))
        read = partial(field.value, operator)
        return _with(wanted, Condition(field.column, operator, tuple(map(read, values))))

    async def _of_people(self, wanted: LogFilter, name: str, asked: OfCustomer) -> LogFilter:
        """Rows have customers' numbers; who they are, store and roster know."""
        if asked.column is Column.IDENTIFIER and asked.operator in _NAMED:
            numbers = await self._customers.numbers(map(str, asked.values))
        else:
            numbers = await self._matching(name, asked)
        if asked.operator is Operator.NOT:
            return replace(wanted, not_customers={*wanted.not_customers, *numbers})
        before = wanted.customer_numbers
        return replace(
            wanted, customer_numbers=numbers if before is None else numbers & set(before)
        )

    async def _matching(self, name: str, asked: OfCustomer) -> set[int]:
        if asked.operator is Operator.NOT:
            asked = OfCustomer(asked.column, Operator.EQUAL, asked.values)
        found = await self._services.users.page(Roll(narrowings=[asked], size=CUSTOMERS_MAX))
        if found.following is not None:
            raise InvalidFields(
                {name: f"More than {CUSTOMERS_MAX:,} customers may match; ask for fewer."}
            )
        return {row.number for row in found.rows}


_NAMED: Final = frozenset({Operator.EQUAL, Operator.IN, Operator.NOT})
_OF_TIMES: Final = OF_NUMBERS - {Operator.ISNULL}
_ROUNDING: Final = {
    Operator.LT: ROUND_CEILING,
    Operator.GTE: ROUND_CEILING,
    Operator.LTE: ROUND_FLOOR,
    Operator.GT: ROUND_FLOOR,
}
_PARTS: Final = frozenset(
    {
        *(Operator.CONTAINS, Operator.ICONTAINS, Operator.STARTSWITH, Operator.ENDSWITH),
        Operator.IEXACT,
    }
)
"""What compares with parts of a text, or in another case."""


def _with(wanted: LogFilter, condition: Condition) -> LogFilter:
    """The filter, narrowed; by what an index answers, where one does."""
    column, (value, *more) = condition.column, condition.values
    is_plain = condition.operator in {Operator.EQUAL, Operator.IN} and not more
    if is_plain and column in _INDEXED and getattr(wanted, column) is None:
        known: dict[str, Any] = {column: Status(str(value)) if column == "status" else value}
        return replace(wanted, **known)
    if column == "failed" and is_plain and value:
        wanted = replace(wanted, in_trouble=True)
    if column == "at_ms" and not more:
        assert isinstance(value, int)
        starts = {Operator.GTE: value, Operator.GT: value + 1}.get(condition.operator)
        ends = {Operator.LT: value, Operator.LTE: value + 1}.get(condition.operator)
        if starts is not None:
            return replace(wanted, start_ms=max(starts, wanted.start_ms or starts))
        if ends is not None:
            return replace(wanted, end_ms=min(ends, wanted.end_ms or ends))
    return replace(wanted, conditions=(*wanted.conditions, condition))


def _quick(field: Field, text: str) -> Value:
    try:
        return field.value(Operator.EQUAL, text)
    except ValueError as exc:
        raise ValueError(str(exc).removeprefix("value ")) from exc


def _filters(filters: object) -> dict[str, object]:
    if filters is None:
        return {}
    if not isinstance(filters, dict):
        raise InvalidFields({"filters": "filters must be an object of fields."})
    return filters


def _asked(asked: object, known: frozenset[Operator]) -> tuple[Operator, list[object]]:
    if not isinstance(asked, dict) or not set(asked) <= {"operator", "value"}:
        raise ValueError('A filter is {"operator": "gt", "value": [10]}')
    operator = _OPERATORS.get(asked.get("operator") or "")
    if operator is None or operator not in known:
        raise ValueError("operator must be one of " + ", ".join(f'"{o}"' for o in sorted(known)))
    value = asked.get("value")
    values = value if isinstance(value, list) else [value]
    most = 1 if operator is Operator.ISNULL else VALUES_MAX
    if not 1 <= len(values) <= most:
        raise ValueError(f"value must have 1 to {most} values")
    return operator, values
