"""What was booked after a call had ended, and what still waits for a price; as SQL."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Text,
    and_,
    case,
    cast,
    distinct,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from gateway.event import RERATED, USAGE_KINDS, Kind
from gateway.store.archive.queries import LogFilter, conditions
from gateway.store.archive.table import ADJUST_SUFFIX, EVENTS, STREAM_ORDER, place

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


class _Listed(GenericFunction[str]):
    """Texts in one, with commas: what is distinct, each dialect joins in its own words."""

    type = Text()
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _listed_in_sqlite(listed: _Listed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"group_concat({compiler.process(listed.clauses, **kw)})"


@compiles(_Listed, "postgresql")
def _listed_in_postgres(listed: _Listed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"string_agg({compiler.process(listed.clauses, **kw)}, ',')"


def _text(column: str) -> ColumnElement[str]:
    return cast(EVENTS.c[column], Text)


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
            _Listed(
                distinct(
                    cast(EVENTS.c.customer_number, Text) + ":" + cast(EVENTS.c.partition, Text)
                )
            ).label("customers"),
        )
        .where(
            EVENTS.c.unpriced,
            or_(is_call, EVENTS.c.request_id.contains(RERATED)),
            *conditions(wanted),
        )
        .group_by(EVENTS.c.provider, EVENTS.c.model)
        .having(waiting > 0)
        .order_by(waiting.desc(), EVENTS.c.provider, EVENTS.c.model)
        .limit(limit)
    )


def read_unpriced(row: Any) -> UnpricedUse:
    pairs = (pair.split(":") for pair in row.customers.split(",")[:CUSTOMERS_SHOWN_MAX])
    return UnpricedUse(
        provider=row.provider,
        model=row.model,
        requests=int(row.requests),
        tokens=int(row.tokens),
        first_ms=row.first_ms,
        last_ms=row.last_ms,
        customer_count=row.customer_count,
        customers={int(number): int(partition) for number, partition in pairs},
    )
