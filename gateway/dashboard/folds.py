"""Fold: what was used in a span, summed up once for all that a page shows of it.

Days of the reporting zone are read from the counters, whose cost goes by customers, not by
calls; hours and minutes, which they do not have, from the archive.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from heapq import nsmallest
from typing import Final, NamedTuple

from gateway.api.services import Services
from gateway.dashboard.spans import Span, midnight_ms
from gateway.metering.roster.roster import PAGE_SIZE_MAX
from gateway.metering.totals import DayTotals, total_of_days
from gateway.reports.daily import STRANGER, days_of
from gateway.reports.values import Slot, slot_of, slot_of_day, summary_of, total
from gateway.store.archive import LogFilter, Metric, Summary

AT_ONCE: Final = 64
"""Customers summed up before calls have their turn."""

DAILY: Final = ("day", "week")

COMPARED_MAX: Final = PAGE_SIZE_MAX
"""Customers that are ranked by what they used."""


class Used(NamedTuple):
    """By one customer, in all of the span."""

    partition: int
    use: Slot


VALUES: Final[Mapping[Metric, Callable[[Slot], int]]] = {
    Metric.COST: lambda use: use.cost_pico,
    Metric.TOKENS: lambda use: use.tokens,
    Metric.REQUESTS: lambda use: use.requests,
}

Ranked = Sequence[tuple[int, Used]]


@dataclass(frozen=True, slots=True)
class Fold:
    """Attributes are of the slots of the span, in order.

    Attributes:
        active: How many customers called in each slot; the anonymous one is nobody.
        used: Customer number -> what it used; only those that did anything.
        most: By each metric, the numbers of those that used most; the greatest first.
    """

    totals: Summary
    slots: Sequence[Slot]
    active: Sequence[int]
    used: Mapping[int, Used] = field(repr=False)
    most: Mapping[Metric, Ranked] = field(repr=False)


def is_daily(span: Span) -> bool:
    return span.unit in DAILY


async def folded(
    services: Services, span: Span, customers: Mapping[int, int], anonymous: int | None
) -> Fold:
    """From the counters.

    Args:
        customers: Whose use: number -> index of the partition.
    """
    partitions = services.store.keyspace.partitions
    first, last = span.days
    days = (first, last + timedelta(days=1))
    starts = [slot for slot, _ in span.starts()]
    slot_of = {day: span.slots.of(midnight_ms(day, span.zone)) for day in _days(*days)}
    places = [*((n, p) for n, p in customers.items() if n != STRANGER)]
    if STRANGER in customers:
        places += [(STRANGER, partition.index) for partition in partitions]
    sums = {slot: DayTotals() for slot in starts}
    active: Counter[int] = Counter()
    used: dict[int, Used] = {}
    callers = 0
    for begin in range(0, len(places), AT_ONCE):
        rows: dict[int, list[DayTotals]] = {slot: [] for slot in starts}
        for found in await days_of(
            services.counters, partitions, places[begin : begin + AT_ONCE], days
        ):
            its_slots = {slot_of[day] for day, of_day in found.days if of_day.calls}
            for day, of_day in found.days:
                rows[slot_of[day]].append(of_day)
            if found.number != STRANGER:
                whole = total_of_days(of_day for _, of_day in found.days)
                used[found.number] = Used(found.partition, slot_of_day(whole))
            if found.number != anonymous:
                active.update(its_slots)
                callers += bool(its_slots)
        for slot, of_slot in rows.items():
            if of_slot:
                sums[slot] = total_of_days([sums[slot], *of_slot])
    by_slot = {slot: slot_of_day(whole) for slot, whole in sums.items()}
    return Fold(
        summary_of(total_of_days(sums.values()), callers),
        [by_slot[slot] for slot in starts],
        [active[slot] for slot in starts],
        used,
        await asyncio.to_thread(_most, used),
    )


async def slots_of_each(
    services: Services, span: Span, customers: Mapping[int, int]
) -> dict[int, list[Slot]]:
    """The slots of each of these alone, from the counters; `customers` as of `folded`."""
    first, last = span.days
    days = (first, last + timedelta(days=1))
    slot_of = {day: span.slots.of(midnight_ms(day, span.zone)) for day in _days(*days)}
    sums = {number: {slot: Slot() for slot, _ in span.starts()} for number in customers}
    partitions = services.store.keyspace.partitions
    for found in await days_of(services.counters, partitions, [*customers.items()], days):
        of_customer = sums[found.number]
        for day, of_day in found.days:
            slot = slot_of[day]
            of_customer[slot] = total((of_customer[slot], slot_of_day(of_day)))
    return {number: [*of_customer.values()] for number, of_customer in sums.items()}


async def folded_from_archive(
    services: Services, span: Span, numbers: Sequence[int] | None, anonymous: int | None
) -> Fold:
    """The same, of a short span, call by call."""
    archive = services.archive
    wanted = LogFilter(start_ms=span.start_ms, end_ms=span.end_ms, customer_numbers=numbers)
    totals, by_slot, by_customer, callers = await asyncio.gather(
        archive.summary(wanted),
        archive.use(wanted, slots=span.slots),
        archive.use(wanted, by="customer"),
        archive.callers(wanted, span.slots),
    )
    slots = {row.slot: slot_of(row) for row in by_slot}
    active = Counter(slot for slot, number, _ in callers if number != anonymous)
    starts = [slot for slot, _ in span.starts()]
    used = {row.key: Used(row.partition, slot_of(row)) for row in by_customer if row.key}
    return Fold(
        replace(
            totals, active_users=len({number for _, number, _ in callers if number != anonymous})
        ),
        [slots.get(slot, Slot()) for slot in starts],
        [active[slot] for slot in starts],
        used,
        await asyncio.to_thread(_most, used),
    )


def _most(used: Mapping[int, Used]) -> dict[Metric, Ranked]:
    found = [(n, one) for n, one in used.items() if one.use.requests or one.use.tokens]
    return {
        metric: nsmallest(COMPARED_MAX, found, key=lambda pair: (-value(pair[1].use), pair[0]))
        for metric, value in VALUES.items()
    }


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(days=i) for i in range((after - first).days)]
