"""Fold: what was used in a span, summed up for all that a page shows of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.api.services import Services
from gateway.dashboard.spans import Span
from gateway.metering.roster.roster import PAGE_SIZE_MAX
from gateway.reports.values import Slot, slot_of, slot_of_day, summary_of
from gateway.store.archive import Answers, LogFilter, Metric, Summary
from gateway.store.archive.days import day_start_ms

DAILY: Final = ("day", "week")

COMPARED_MAX: Final = PAGE_SIZE_MAX
"""Customers that are ranked by what they used."""

VALUES: Final[Mapping[Metric, Callable[[Slot], int]]] = {
    Metric.COST: lambda use: use.cost_pico,
    Metric.TOKENS: lambda use: use.tokens,
    Metric.REQUESTS: lambda use: use.requests,
}


@dataclass(frozen=True, slots=True)
class Fold:
    """Attributes are of the slots of the span, in order.

    Attributes:
        active: How many customers called in each slot; the anonymous one is nobody.
    """

    totals: Summary
    slots: Sequence[Slot]
    active: Sequence[int]


def is_daily(span: Span) -> bool:
    return span.unit in DAILY


async def folded(answers: Answers, span: Span, wanted: LogFilter, anonymous: int | None) -> Fold:
    """From the archive."""
    uses = await answers.use(wanted, slots=span.slots)
    active = await answers.active(wanted, span.slots, but=anonymous)
    slots = {use.slot: slot_of(use) for use in uses}
    starts = [slot for slot, _ in span.starts()]
    return Fold(
        summary_of(uses, active.whole),
        [slots.get(slot, Slot()) for slot in starts],
        [active.by_slot.get(slot, 0) for slot in starts],
    )


async def slots_of_each(
    services: Services, span: Span, customers: Mapping[int, int]
) -> dict[int, list[Slot]]:
    """The slots of each of these alone, from the counters.

    Args:
        customers: Number -> index of the partition.
    """
    first, last = span.days
    partitions = services.store.keyspace.partitions
    sums = {number: {slot: Slot() for slot, _ in span.starts()} for number in customers}
    read = await services.counters.days_of_many(
        [(partitions[partition], number) for number, partition in customers.items()],
        first,
        last + timedelta(days=1),
    )
    for of_customer, days in zip(sums.values(), read, strict=True):
        for day, of_day in days:
            slot = span.slots.of(day_start_ms(day, span.zone))
            of_customer[slot] = of_customer[slot].plus(slot_of_day(of_day))
    return {number: [*of_customer.values()] for number, of_customer in sums.items()}
