"""What is asked of the archive, as SQL: filters, totals, the biggest customers.

What counts is said in one place for counters and archive alike: the kinds of
`gateway.event`, and `UsageEvent.unresolved_pico`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, TextClause, and_, case, distinct, func, select

from gateway.event import FAILED, MONEY_KINDS, RERATED, TROUBLE_KINDS, USAGE_KINDS, Kind, Status
from gateway.store.archive.conditions import Condition
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, NOT_OK

CUSTOMERS_MAX: Final = 1_000
"""In one filter."""

_LIMB: Final = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which rows: all that match everything that is set. Times are half-open, Unix ms.

    Attributes:
        in_trouble: Those whose status is another than ok.
        not_customers: Numbers of customers whose rows are left out.
        conditions: On any columns, beside.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    customer_numbers: Collection[int] | None = None
    model: str | None = None
    app: str | None = None
    status: Status | None = None
    status_code: int | None = None
    request_id: str | None = None
    in_trouble: bool = False
    not_customers: Collection[int] = ()
    conditions: Sequence[Condition] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Totals over rows, exact. `input_tokens` has the cached, `output_tokens` the reasoning.

    `unresolved_pico` is the part of `charge_pico` that is an upper bound: calls whose end is
    not known. `active_users` counts customer numbers, the anonymous one included.
    """

    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    cost_pico: int
    charge_pico: int
    unresolved_pico: int
    active_users: int
    errors: int
    rejected: int
    unpriced: int

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Metric(StrEnum):
    """By what customers are compared."""

    COST = "cost"
    CHARGE = "charge"
    TOKENS = "tokens"
    REQUESTS = "requests"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """Calls of one model; `cache_hits` are those whose input was in part read from a cache."""

    model: str
    requests: int
    cache_hits: int


def conditions(wanted: LogFilter) -> list[ColumnElement[bool] | TextClause]:
    """The filter's WHERE.

    Raises:
        ValueError: more than `CUSTOMERS_MAX` customers.
    """
    found: list[ColumnElement[bool] | TextClause] = []
    if wanted.start_ms is not None:
        found.append(EVENTS.c.at_ms >= wanted.start_ms)
    if wanted.end_ms is not None:
        found.append(EVENTS.c.at_ms < wanted.end_ms)
    if (numbers := wanted.customer_numbers) is not None:
        if len(numbers) > CUSTOMERS_MAX:
            raise ValueError(f"{len(numbers)} customers in one filter; {CUSTOMERS_MAX} at most")
        found.append(EVENTS.c.customer_number.in_(sorted(numbers)))
    if (request_id := wanted.request_id) is not None:
        # The rows of a call have its id, with or without the suffix, as what is unique in them.
        found.append(EVENTS.c.once.in_((request_id, request_id + ADJUST_SUFFIX)))
    if wanted.not_customers:
        found.append(EVENTS.c.customer_number.not_in(sorted(wanted.not_customers)))
    if wanted.in_trouble or wanted.status not in (None, Status.OK):
        found.append(NOT_OK)
    found += [condition.sql for condition in wanted.conditions]
    for name in ("model", "app", "status", "status_code", "request_id"):
        value = getattr(wanted, name)
        if value is not None:
            found.append(EVENTS.c[name] == value)
    return found


def summary(wanted: LogFilter) -> Executable:
    """One row, for `read_summary`."""
    return select(
        counted(is_usage()).label("requests"),
        *(column for name in _SUMMED for column in summed(name)),
        func.count(distinct(case((is_usage(), EVENTS.c.customer_number)))).label("active_users"),
        counted(failures()).label("errors"),
        counted(refusals()).label("rejected"),
        unpriced_calls().label("unpriced"),
    ).where(*conditions(wanted))


_SUMMED: Final = (
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_pico",
    "charge_pico",
    "unresolved_pico",
)


def read_summary(row: Any) -> Summary:
    return Summary(
        **{name: joined(row, name) for name in _SUMMED},
        **{
            name: getattr(row, name)
            for name in ("requests", "active_users", "errors", "rejected", "unpriced")
        },
    )


def models(wanted: LogFilter, limit: int) -> Executable:
    """At most `limit` rows, the most called first, for `ModelUse`."""
    return (
        select(
            EVENTS.c.model,
            func.count().label("requests"),
            counted(EVENTS.c.cached_tokens > 0).label("cache_hits"),
        )
        .where(is_usage(), *conditions(wanted))
        .group_by(EVENTS.c.model)
        .order_by(func.count().desc(), EVENTS.c.model)
        .limit(limit)
    )


def is_kind(kinds: Collection[Kind]) -> ColumnElement[bool]:
    return EVENTS.c.kind.in_(sorted(kinds))


def is_usage() -> ColumnElement[bool]:
    """Whether a row is one call."""
    return is_kind(USAGE_KINDS)


def failures() -> ColumnElement[bool]:
    return and_(is_kind(TROUBLE_KINDS), EVENTS.c.status.in_(sorted(FAILED)))


def refusals() -> ColumnElement[bool]:
    return EVENTS.c.kind == Kind.REFUSE


def tokens() -> ColumnElement[int]:
    """Of one row, to be summed."""
    return where_money_moved(EVENTS.c.input_tokens + EVENTS.c.output_tokens)


def where_money_moved(column: ColumnElement[int]) -> ColumnElement[int]:
    """Of one row, to be summed: an end of a call, or a report; nothing for other kinds."""
    return case((is_kind(MONEY_KINDS), column), else_=0)


def unpriced_calls() -> ColumnElement[int]:
    """How many calls have no price: those without one, less those that were given one since."""
    rerated = and_(EVENTS.c.unpriced, EVENTS.c.request_id.contains(RERATED))
    return counted(and_(is_usage(), EVENTS.c.unpriced)) - counted(rerated)


def counted(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def summed(name: str) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """A sum in two limbs, `<name>_high` and `<name>_low`: SQLite's SUM ends at int64.

    Division and remainder truncate toward zero in SQLite and PostgreSQL alike, so that
    value == high * 1e9 + low for negative values too.
    """
    value = case((is_kind(MONEY_KINDS), EVENTS.c[name]), else_=0)
    # Not `//`: SQLAlchemy spells that FLOOR(a / b), which is no integer everywhere.
    high = func.coalesce(func.sum(value.op("/")(_LIMB)), 0)
    low = func.coalesce(func.sum(value % _LIMB), 0)
    return high.label(f"{name}_high"), low.label(f"{name}_low")


def joined(row: Any, name: str) -> int:
    return int(getattr(row, f"{name}_high")) * _LIMB + int(getattr(row, f"{name}_low"))
