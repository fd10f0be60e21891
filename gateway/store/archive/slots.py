"""Sums over slots of time, as SQL: one GROUP BY finds the slot of each row.

Hours, days and weeks are told by the wall clock of a zone: a slot's number is its
milliseconds divided by the slot's size, on days of 23 and 25 hours too. Months have no size,
and are told by their bounds.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, Executable, Text, case, cast, func, literal, select
from sqlalchemy import null as sql_null

from gateway.store.archive.queries import (
    LogFilter,
    conditions,
    counted,
    failures,
    is_usage,
    joined,
    refusals,
    summed,
    tokens,
    unpriced_calls,
    where_money_moved,
)
from gateway.store.archive.table import EVENTS

TIMINGS_MAX: Final = 20_000
"""Durations read at once; of more calls an even share is read."""


class Slotting(Protocol):
    """How an instant (Unix ms) becomes the number of its slot, in Python and in SQL."""

    def of(self, at_ms: int) -> int: ...

    def column(self, at_ms: ColumnElement[int] = ...) -> ColumnElement[int]: ...

    def holds(self, size_ms: int) -> bool:
        """Whether each stretch of that size, counted from 1970, lies in one slot."""
        ...


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one size.

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

    def column(self, at_ms: ColumnElement[int] = EVENTS.c.at_ms) -> ColumnElement[int]:
        *earlier, (_, last) = self.offsets
        offset: ColumnElement[int] = literal(last)
        if earlier:
            whens = [(at_ms < until_ms, literal(of)) for until_ms, of in earlier]
            offset = case(*whens, else_=last)
        # Its precedence said, or the sum before it gets no parentheses.
        return (at_ms + offset).op("/", precedence=8)(self.size_ms)

    def holds(self, size_ms: int) -> bool:
        edges = [self.size_ms, *(ms or 0 for pair in self.offsets for ms in pair)]
        return all(edge % size_ms == 0 for edge in edges)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Slots from each of `starts_ms` to the next, numbered from 0; -1 is before the first."""

    starts_ms: Sequence[int]

    def of(self, at_ms: int) -> int:
        return bisect_right(self.starts_ms, at_ms) - 1

    def column(self, at_ms: ColumnElement[int] = EVENTS.c.at_ms) -> ColumnElement[int]:
        whens = [(at_ms < start, literal(n - 1)) for n, start in enumerate(self.starts_ms)]
        last = literal(len(self.starts_ms) - 1)
        return case(*whens, else_=last) if whens else last

    def holds(self, size_ms: int) -> bool:
        return all(start % size_ms == 0 for start in self.starts_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotUse:
    """What happened in one slot, of one key where it was asked by key.

    Attributes:
        partition: Of the customer, where that is the key.
    """

    slot: int
    key: Any
    partition: int
    requests: int
    tokens: int
    cost_pico: int
    charge_pico: int
    errors: int
    rejected: int
    unpriced: int
    input_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    unresolved_pico: int


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


def in_slots(wanted: LogFilter, slots: Slotting | None, key: str | None) -> Executable:
    """A row for each slot and key, for `read_slot_use`; without slots one for each key."""
    slot = literal(0) if slots is None else slots.column()
    of: ColumnElement[Any] = cast(sql_null(), Text) if key is None else KEYS[key]
    statement = select(
        slot.label("slot"),
        of.label("key"),
        func.min(EVENTS.c.partition).label("partition"),
        counted(is_usage()).label("requests"),
        func.sum(tokens()).label("tokens"),
        *summed("cost_pico"),
        *summed("charge_pico"),
        counted(failures()).label("errors"),
        counted(refusals()).label("rejected"),
        unpriced_calls().label("unpriced"),
        func.sum(where_money_moved(EVENTS.c.input_tokens)).label("input_tokens"),
        func.sum(where_money_moved(EVENTS.c.cached_tokens)).label("cached_tokens"),
        func.sum(where_money_moved(EVENTS.c.reasoning_tokens)).label("reasoning_tokens"),
        *summed("unresolved_pico"),
    ).where(*conditions(wanted))
    return statement.group_by("slot", "key")


def read_slot_use(row: Any) -> SlotUse:
    return SlotUse(
        slot=row.slot,
        key=row.key,
        partition=row.partition,
        requests=row.requests,
        tokens=int(row.tokens or 0),
        cost_pico=joined(row, "cost_pico"),
        charge_pico=joined(row, "charge_pico"),
        errors=row.errors,
        rejected=row.rejected,
        unpriced=row.unpriced,
        input_tokens=int(row.input_tokens or 0),
        cached_tokens=int(row.cached_tokens or 0),
        reasoning_tokens=int(row.reasoning_tokens or 0),
        unresolved_pico=joined(row, "unresolved_pico"),
    )


def callers(wanted: LogFilter, slots: Slotting) -> Executable:
    """Who called in which slot, once each, for unpacking: slot, number, partition."""
    return (
        select(
            slots.column().label("slot"),
            EVENTS.c.customer_number,
            func.min(EVENTS.c.partition),
        )
        .where(is_usage(), *conditions(wanted))
        .group_by("slot", EVENTS.c.customer_number)
    )


def timings(wanted: LogFilter, slots: Slotting, every: int) -> Executable:
    """The durations of every so-many-th call, for `Timing`."""
    found = [is_usage(), EVENTS.c.latency_ms.is_not(None), *conditions(wanted)]
    if every > 1:
        found.append(EVENTS.c.id % every == 0)
    return (
        select(slots.column().label("slot"), EVENTS.c.latency_ms, EVENTS.c.first_token_ms)
        .where(*found)
        .limit(2 * TIMINGS_MAX)
    )
