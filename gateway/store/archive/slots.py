"""Sums over slots of time: hours, days or weeks on the wall clock of a zone, as SQL.

A slot's number is the wall clock's milliseconds divided by the slot's size, so that one
GROUP BY finds it, on days of 23 and 25 hours too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable, and_, case, distinct, func, literal, select

from gateway.event import FAILED, MONEY_KINDS, TROUBLE_KINDS, USAGE_KINDS, Kind
from gateway.store.archive.queries import (
    LogFilter,
    conditions,
    counted,
    is_kind,
    joined,
    summed,
)
from gateway.store.archive.table import EVENTS

SLOTS_MAX: Final = 1_000
_AS_DIVISION: Final = 8
"""How tightly an operator binds, to SQLAlchemy: before a sum, so that it is put in brackets."""

TIMINGS_MAX: Final = 20_000
"""Durations read at once; of more calls an even share is read."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How an instant becomes the number of its slot.

    Attributes:
        offsets: ``(until_ms, offset_ms)``: before `until_ms` the wall clock is UTC plus
            `offset_ms`; in order, the last one without an end (None).
    """

    size_ms: int
    offsets: Sequence[tuple[int | None, int]]

    def of(self, at_ms: int) -> int:
        for until_ms, offset_ms in self.offsets:
            if until_ms is None or at_ms < until_ms:
                return (at_ms + offset_ms) // self.size_ms
        raise AssertionError("the last offset has no end")

    def column(self) -> ColumnElement[int]:
        *earlier, (_, last) = self.offsets
        offset: ColumnElement[int] = literal(last)
        if earlier:
            whens = [(EVENTS.c.at_ms < until_ms, literal(of)) for until_ms, of in earlier]
            offset = case(*whens, else_=last)
        return (EVENTS.c.at_ms + offset).op("/", precedence=_AS_DIVISION)(self.size_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUse:
    """What happened in one slot, of one key where it was asked by key."""

    slot: int
    key: Any
    requests: int
    tokens: int
    cost_pico: int
    charge_pico: int
    errors: int
    rejected: int
    unpriced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one call took."""

    slot: int
    latency_ms: int | None
    first_token_ms: int | None


KEYS: Final = {
    "customer": EVENTS.c.customer_number,
    "model": EVENTS.c.model,
    "app": EVENTS.c.app,
}


def in_slots(wanted: LogFilter, slots: Slots | None, key: str | None) -> Executable:
    """A row for each slot and key, for `read_slot_use`; without slots one for each key."""
    slot = literal(0) if slots is None else slots.column()
    of = literal(None) if key is None else KEYS[key]
    return (
        select(
            slot.label("slot"),
            of.label("key"),
            counted(is_kind(USAGE_KINDS)).label("requests"),
            func.sum(
                case(
                    (is_kind(MONEY_KINDS), EVENTS.c.input_tokens + EVENTS.c.output_tokens), else_=0
                )
            ).label("tokens"),
            *summed("cost_pico"),
            *summed("charge_pico"),
            counted(and_(is_kind(TROUBLE_KINDS), EVENTS.c.status.in_(sorted(FAILED)))).label(
                "errors"
            ),
            counted(EVENTS.c.kind == Kind.REFUSE).label("rejected"),
            counted(and_(is_kind(USAGE_KINDS), EVENTS.c.unpriced)).label("unpriced"),
        )
        .where(*conditions(wanted))
        .group_by("slot", "key")
    )


def read_slot_use(row: Any) -> SlotUse:
    return SlotUse(
        slot=row.slot,
        key=row.key,
        requests=row.requests,
        tokens=row.tokens or 0,
        cost_pico=joined(row, "cost_pico"),
        charge_pico=joined(row, "charge_pico"),
        errors=row.errors,
        rejected=row.rejected,
        unpriced=row.unpriced,
    )


def active_in_slots(wanted: LogFilter, slots: Slots, without: int | None) -> Executable:
    """How many customers called, by slot; `without` is not counted."""
    return (
        select(
            slots.column().label("slot"),
            func.count(distinct(EVENTS.c.customer_number)).label("active"),
        )
        .where(
            is_kind(USAGE_KINDS), *conditions(wanted), EVENTS.c.customer_number != (without or 0)
        )
        .group_by("slot")
    )


def timings(wanted: LogFilter, slots: Slots, every: int) -> Executable:
    """The durations of every so-many-th call, for `Timing`."""
    found = [is_kind(USAGE_KINDS), EVENTS.c.latency_ms.is_not(None), *conditions(wanted)]
    if every > 1:
        found.append(EVENTS.c.id % every == 0)
    return (
        select(slots.column().label("slot"), EVENTS.c.latency_ms, EVENTS.c.first_token_ms)
        .where(*found)
        .limit(2 * TIMINGS_MAX)
    )
