"""The questions, answered from the archive, and the answers kept where they are dear."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace
from typing import Any, Final, TypeVar

from gateway.clock import Clock
from gateway.customers.profile import ANONYMOUS
from gateway.reports.remembered import Remembered
from gateway.reports.span import Span
from gateway.reports.values import (
    NAMES,
    Active,
    Filter,
    GroupBy,
    Measure,
    Pace,
    Shares,
    Slot,
    Top,
    TopUsers,
    slot_of,
    summary_of,
    total,
)
from gateway.store.archive import NO_PACES, Archive, LogFilter, Summary
from gateway.store.archive.spreads import quantile
from gateway.store.client import Store

SERIES_MAX: Final = 100
"""Keys of one series; the rest is summed up."""

BY_PLACES: Final = frozenset({Measure.COST, Measure.TOKENS, Measure.REQUESTS})
"""What the archive has each day's customers in the order of."""

T = TypeVar("T")


class Reports:
    """Answers questions about spans.

    Raises, from every method:
        LedgerUnavailable: the store is away.
        sqlalchemy.exc.SQLAlchemyError: the archive is.
    """

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._answers = archive.answers
        self._clock = clock
        self._remembered = Remembered(store, clock)

    async def summary(self, span: Span, wanted: Filter) -> Summary:
        """Totals; the anonymous customer is not among the active ones."""
        return await self._get(("summary",), span, wanted, lambda: self._summary(span, wanted))

    async def _summary(self, span: Span, wanted: Filter) -> Summary:
        where, anonymous = self._where(span, wanted), await self.anonymous()
        uses = await self._answers.use(where)
        active = await self._answers.active(where, span.slots, but=anonymous)
        return summary_of(uses, active.whole)

    async def top_users(self, span: Span, wanted: Filter, measure: Measure, limit: int) -> TopUsers:
        """The customers with most of it, the greatest first, among those that used anything."""

        async def make() -> TopUsers:
            return await self._top_users(span, wanted, measure, limit)

        return await self._get(("top", measure, limit), span, wanted, make)

    async def _top_users(
        self, span: Span, wanted: Filter, measure: Measure, limit: int
    ) -> TopUsers:
        where = self._where(span, wanted)
        top = await self._answers.top(where, NAMES[measure], limit)
        users = [Top(one.key, one.partition, slot_of(one)) for one in top]
        whole = total(map(slot_of, await self._answers.use(where)))
        return TopUsers(users, whole.minus(total(user.use for user in users)))

    async def active(self, span: Span, wanted: Filter) -> list[Active]:
        """For each slot of the span, in order; without the anonymous customer."""
        return await self._get(("active",), span, wanted, lambda: self._active(span, wanted))

    async def _active(self, span: Span, wanted: Filter) -> list[Active]:
        where, anonymous = self._where(span, wanted), await self.anonymous()
        active = await self._answers.active(where, span.slots, but=anonymous)
        new = await self._answers.new(where, span.slots, but=anonymous)
        return [Active(active.by_slot.get(slot, 0), new.get(slot, 0)) for slot, _ in span.starts()]

    async def series(
        self, span: Span, wanted: Filter, by: GroupBy, measure: Measure, limit: int = SERIES_MAX
    ) -> Shares:
        """Slots by key: the `limit` greatest keys of the span by `measure`, and the rest."""

        async def make() -> Shares:
            return await self._series(span, wanted, by, measure, limit)

        return await self._get(("series", by, measure, limit), span, wanted, make)

    async def _series(
        self, span: Span, wanted: Filter, by: GroupBy, measure: Measure, limit: int
    ) -> Shares:
        where = self._where(span, wanted)
        if by is GroupBy.CUSTOMER and wanted.customers is None and measure in BY_PLACES:
            return await self._greatest(span, where, measure, limit)
        name = None if by is GroupBy.NONE else by.value
        rows = await self._answers.use(where, slots=span.slots, by=name)
        uses: list[tuple[Any, int, int, Slot]] = [
            (row.key or "", row.partition, row.slot, slot_of(row)) for row in rows
        ]
        totals: defaultdict[Any, Slot] = defaultdict(Slot)
        for key, _, _, use in uses:
            totals[key] = totals[key].plus(use)
        ranked = sorted(
            (key for key in totals if totals[key].of(measure) or by is GroupBy.NONE),
            key=lambda key: (-totals[key].of(measure), str(key)),
        )
        keys = dict.fromkeys(ranked[:limit])
        slots: defaultdict[int, dict[Any, Slot]] = defaultdict(dict)
        other: defaultdict[int, Slot] = defaultdict(Slot)
        partitions: dict[int, int] = {}
        for key, partition, slot, use in uses:
            if key in keys:
                slots[slot][key] = slots[slot].get(key, Slot()).plus(use)
                partitions[key] = partition
            else:
                other[slot] = other[slot].plus(use)
        return Shares(list(keys), slots, other, partitions)

    async def _greatest(self, span: Span, where: LogFilter, measure: Measure, limit: int) -> Shares:
        """Of the customers with most of it, without a look at all the others."""
        top = await self._answers.top(where, NAMES[measure], limit)
        partitions = {one.key: one.partition for one in top if slot_of(one).of(measure)}
        theirs = replace(where, customer_numbers=tuple(partitions))
        slots: defaultdict[int, dict[Any, Slot]] = defaultdict(dict)
        for row in await self._answers.use(theirs, slots=span.slots, by="customer"):
            slots[row.slot][row.key] = slot_of(row)
        other = {
            row.slot: slot_of(row).minus(total(slots[row.slot].values()))
            for row in await self._answers.use(where, slots=span.slots)
        }
        other = {slot: rest for slot, rest in other.items() if any(rest)}
        return Shares(list(partitions), slots, other, partitions)

    async def paces(self, span: Span, wanted: Filter) -> list[Pace]:
        """For each slot how long calls took, at most 0.2 % beside."""
        found = await self._answers.paces(self._where(span, wanted), span.slots)
        return [
            Pace(
                quantile(pace.whole, 0.5),
                quantile(pace.whole, 0.95),
                quantile(pace.first_token, 0.5),
                quantile(pace.first_token, 0.95),
            )
            for slot, _ in span.starts()
            for pace in [found.get(slot, NO_PACES)]
        ]

    async def anonymous(self) -> int | None:
        """The number of the anonymous customer, who is nobody in particular."""
        partition = self._store.keyspace.partition_of(ANONYMOUS)
        found = await self._store.command("GET", partition.number(ANONYMOUS))
        return None if found is None else int(found)

    async def _get(
        self,
        what: tuple[Hashable, ...],
        span: Span,
        wanted: Filter,
        make: Callable[[], Awaitable[T]],
    ) -> T:
        # A span that ends now, or later, is the same one when it is asked for again.
        is_open = self._is_open(span)
        end = ("open", sum(1 for _ in span.starts())) if is_open else (span.end_ms,)
        when = (span.start_ms, *end, str(span.zone), span.granularity)
        customers = None if wanted.customers is None else frozenset(wanted.customers)
        key = (*what, *when, wanted.app, wanted.model, customers)
        return await self._remembered.get(key, make)

    def _is_open(self, span: Span) -> bool:
        return span.goes_on or span.end_ms > self._clock.now_ms()

    def _where(self, span: Span, wanted: Filter) -> LogFilter:
        end_ms = span.end_ms
        if self._is_open(span):
            # Nothing counts in the future: all until now is all of today.
            end_ms = span.rounded_up(end_ms - 1)
        return LogFilter(
            start_ms=span.start_ms,
            end_ms=end_ms,
            customer_numbers=wanted.customers,
            model=wanted.model,
            app=wanted.app,
        )
