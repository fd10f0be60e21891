"""What was booked after a call had ended, and what still waits for a price; as SQL."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    TextClause,
    and_,
    case,
    distinct,
    func,
    or_,
    select,
    tuple_,
)

from gateway.event import RERATED, USAGE_KINDS, Kind
from gateway.store.archive.queries import LogFilter, conditions
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, STREAM_ORDER, UNPRICED, place

CUSTOMERS_SHOWN_MAX: Final = 10
_PAST_RERATED: Final = chr(ord(RERATED) + 1)


@dataclass(frozen=True, slots=True)
class Rerated:
    """What the re-ratings of one call have added to it, pico-USD."""

    count: int = 0
    cost_pico: int = 0
    charge_pico: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpricedUse:
    """A name that was called without a price.

    Attributes:
        customers: Number -> index of its partition; the first few of `customer_count`.
    """

    provider: str
    model: str
    requests: int
    tokens: int
    first_ms: int
    last_ms: int
    customer_count: int
    customers: dict[int, int]


def adjusts(request_id: str) -> ColumnElement[bool]:
    """Whether a row adds to that call: once it was known, or when it was rated again."""
    return or_(
        EVENTS.c.once == request_id + ADJUST_SUFFIX,
        and_(
            EVENTS.c.once > request_id + RERATED,
            EVENTS.c.once < request_id + _PAST_RERATED,
        ),
    )


def reratings(partition: int, after: str) -> Executable:
    """For `read_reratings`."""
    return select(EVENTS.c.request_id, EVENTS.c.cost_pico, EVENTS.c.charge_pico).where(
        EVENTS.c.partition == partition,
        tuple_(*STREAM_ORDER) > tuple_(*place(after)),
        EVENTS.c.kind == Kind.ADJUST,
        EVENTS.c.request_id.contains(RERATED),
    )


def read_reratings(rows: Iterable[Any]) -> dict[str, Rerated]:
    found: dict[str, Rerated] = {}
    for row in rows:
        call = row.request_id.partition(RERATED)[0]
        known = found.get(call, Rerated())
        found[call] = Rerated(
            known.count + 1, known.cost_pico + row.cost_pico, known.charge_pico + row.charge_pico
        )
    return found


def unpriced(wanted: LogFilter, limit: int) -> Executable:
    """At most `limit` rows, for `read_unpriced`: calls less those that were priced since."""
    is_call = EVENTS.c.kind.in_(sorted(USAGE_KINDS))
    tokens = case((is_call, EVENTS.c.input_tokens + EVENTS.c.output_tokens), else_=0)
    waiting = func.sum(case((is_call, 1), else_=-1))
    return (
        select(
            EVENTS.c.provider,
            EVENTS.c.model,
            waiting.label("requests"),
            func.sum(tokens).label("tokens"),
            func.min(EVENTS.c.at_ms).label("first_ms"),
            func.max(EVENTS.c.at_ms).label("last_ms"),
            func.count(distinct(EVENTS.c.customer_number)).label("customer_count"),
        )
        .where(*_without_a_price(wanted))
        .group_by(EVENTS.c.provider, EVENTS.c.model)
        .having(waiting > 0)
        .order_by(waiting.desc(), EVENTS.c.provider, EVENTS.c.model)
        .limit(limit)
    )


def unpriced_customers(wanted: LogFilter, names: Iterable[tuple[str, str]]) -> Executable:
    """Of each of these names the first `CUSTOMERS_SHOWN_MAX` customers, for `read_unpriced`."""
    name = (EVENTS.c.provider, EVENTS.c.model)
    customer = (EVENTS.c.customer_number, EVENTS.c.partition)
    place_in_name = func.row_number().over(partition_by=name, order_by=customer)
    ranked = (
        select(*name, *customer, place_in_name.label("place"))
        .where(*_without_a_price(wanted), tuple_(*name).in_(names))
        .group_by(*name, *customer)
        .subquery()
    )
    return select(ranked).where(ranked.c.place <= CUSTOMERS_SHOWN_MAX)


def _without_a_price(wanted: LogFilter) -> list[ColumnElement[bool] | TextClause]:
    is_call = EVENTS.c.kind.in_(sorted(USAGE_KINDS))
    rerated = EVENTS.c.request_id.contains(RERATED)
    return [UNPRICED, or_(is_call, rerated), *conditions(wanted)]


def read_unpriced(rows: Iterable[Any], customers: Iterable[Any]) -> list[UnpricedUse]:
    first: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for row in customers:
        first[row.provider, row.model][row.customer_number] = row.partition
    return [
        UnpricedUse(
            provider=row.provider,
            model=row.model,
            requests=int(row.requests),
            tokens=int(row.tokens),
            first_ms=row.first_ms,
            last_ms=row.last_ms,
            customer_count=row.customer_count,
            customers=first[row.provider, row.model],
        )
        for row in rows
    ]
