"""The questions, answered: from the counters where these know it, else from the archive."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import replace
from datetime import date, tzinfo
from typing import Any, Final, TypeVar

from gateway.clock import Clock
from gateway.customers.profile import ANONYMOUS
from gateway.metering.counters import Counters
from gateway.metering.totals import total_of_days
from gateway.reports.daily import STRANGER, CustomerDays, days_of, everyone
from gateway.reports.remembered import Remembered
from gateway.reports.span import Granularity, Span
from gateway.reports.values import (
    NOTHING,
    Active,
    Filter,
    GroupBy,
    Measure,
    Pace,
    Shares,
    Slot,
    Top,
    TopUsers,
    quantile,
    slot_of,
    slot_of_day,
    summary_of,
    total,
)
from gateway.store.archive import Archive, LogFilter, Summary
from gateway.store.client import Store

BY_CUSTOMER_MAX: Final = 1_000
SERIES_MAX: Final = 100
"""Keys of one series; the rest is summed up."""

T = TypeVar("T")


class Reports:
    """Answers questions about spans. `zone` is the reporting zone, whose days are counted.

    Raises, from every method:
        LedgerUnavailable: the store is away.
        sqlalchemy.exc.SQLAlchemyError: the archive is.
    """

    def __init__(
        self, store: Store, archive: Archive, counters: Counters, clock: Clock, zone: tzinfo
    ) -> None:
        self._store = store
        self._archive = archive
        self._counters = counters
        self._clock = clock
        self._zone = zone
        self._remembered = Remembered(store, clock)

    async def summary(self, span: Span, wanted: Filter) -> Summary:
        """Totals; the anonymous customer is not among the active ones."""
        return await self._get(("summary",), span, wanted, lambda: self._summary(span, wanted))

    async def _summary(self, span: Span, wanted: Filter) -> Summary:
        counted = await self._counted(span, wanted)
        if counted is None:
            return await self._archived_summary(span, wanted)
        anonymous = await self.anonymous()
        return summary_of(
            total_of_days(day for found in counted for _, day in found.days),
            sum(
                1
                for found in counted
                if found.number != anonymous and any(day.calls for _, day in found.days)
            ),
        )

    async def top_users(self, span: Span, wanted: Filter, measure: Measure, limit: int) -> TopUsers:
        """The customers with most of it, the greatest first, among those that used anything."""

        async def make() -> TopUsers:
            return await self._top_users(span, wanted, measure, limit)

        return await self._get(("top", measure, limit), span, wanted, make)

    async def _top_users(
        self, span: Span, wanted: Filter, measure: Measure, limit: int
    ) -> TopUsers:
        users = [
            user
            for user in await self._by_customer(span, wanted)
            if user.number != STRANGER and any(user.use[:4])
        ]
        users.sort(key=lambda user: (-user.use.of(measure), user.number))
        return TopUsers(users[:limit], total(user.use for user in users[limit:]))

    async def active(self, span: Span, wanted: Filter) -> list[Active]:
        """For each slot of the span, in order; without the anonymous customer."""
        return await self._get(("active",), span, wanted, lambda: self._active(span, wanted))

    async def _active(self, span: Span, wanted: Filter) -> list[Active]:
        callers = await self._callers_by_slot(span, wanted)
        everybody = {number: p for found in callers.values() for number, p in found.items()}
        first_slot = await self._first_slots(span, everybody)
        answer = []
        for slot, _ in span.starts():
            here = callers.get(slot, {})
            answer.append(Active(len(here), sum(1 for n in here if first_slot.get(n) == slot)))
        return answer

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
        uses = await self._in_slots(span, wanted, by)
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
                slots[slot][key] = slots[slot].get(key, NOTHING).plus(use)
                partitions[key] = partition
            else:
                other[slot] = other[slot].plus(use)
        return Shares(list(keys), slots, other, partitions)

    async def paces(self, span: Span, wanted: Filter) -> list[Pace]:
        """For each slot how long calls took; of very many calls, an even share is read."""
        where = _where(span, wanted)
        totals = await self._archive.summary(where)
        whole: defaultdict[int, list[int]] = defaultdict(list)
        first: defaultdict[int, list[int]] = defaultdict(list)
        for timing in await self._archive.timings(where, span.slots, totals.requests):
            if timing.latency_ms is not None:
                whole[timing.slot].append(timing.latency_ms)
            if timing.first_token_ms is not None:
                first[timing.slot].append(timing.first_token_ms)
        return [
            Pace(
                quantile(whole[slot], 0.5),
                quantile(whole[slot], 0.95),
                quantile(first[slot], 0.5),
                quantile(first[slot], 0.95),
            )
            for slot, _ in span.starts()
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
        is_open = span.end_ms > self._clock.now_ms()
        end = ("open", sum(1 for _ in span.starts())) if is_open else (span.end_ms,)
        when = (span.start_ms, *end, str(span.zone), span.granularity)
        customers = None if wanted.customers is None else frozenset(wanted.customers)
        key = (*what, *when, wanted.app, wanted.model, customers)
        return await self._remembered.get(key, make)

    def _days(self, span: Span) -> tuple[date, date] | None:
        if str(span.zone) != str(self._zone) or span.granularity is Granularity.HOUR:
            return None
        # Nothing counts in the future: all of today is all until now.
        return span.whole_days(self._clock.now_ms())

    async def _counted(self, span: Span, wanted: Filter) -> list[CustomerDays] | None:
        """What the counters know; None: they do not."""
        days = self._days(span) if wanted.app is None and wanted.model is None else None
        if days is None:
            return None
        partitions = self._store.keyspace.partitions
        customers = await everyone(self._archive, partitions, wanted.customers)
        return await days_of(self._counters, partitions, customers, days)

    async def _archived_summary(self, span: Span, wanted: Filter) -> Summary:
        where = _where(span, wanted)
        totals = await self._archive.summary(where)
        anonymous = await self.anonymous()
        if anonymous is None or not (wanted.customers is None or anonymous in wanted.customers):
            return totals
        its_own = await self._archive.summary(replace(where, customer_numbers=(anonymous,)))
        return replace(totals, active_users=totals.active_users - its_own.active_users)

    async def _by_customer(self, span: Span, wanted: Filter) -> list[Top]:
        counted = await self._counted(span, wanted)
        if counted is None:
            rows = await self._archive.use(_where(span, wanted), by="customer")
            return [Top(row.key, row.partition, slot_of(row)) for row in rows]
        return [
            Top(
                found.number,
                found.partition,
                slot_of_day(total_of_days(day for _, day in found.days)),
            )
            for found in counted
        ]

    async def _in_slots(
        self, span: Span, wanted: Filter, by: GroupBy
    ) -> list[tuple[Any, int, int, Slot]]:
        """Key, partition, slot, use."""
        counted = None
        if by in {GroupBy.NONE, GroupBy.CUSTOMER}:
            counted = await self._counted(span, wanted)
        if counted is None:
            key = None if by is GroupBy.NONE else by.value
            rows = await self._archive.use(_where(span, wanted), slots=span.slots, by=key)
            return [(row.key or "", row.partition, row.slot, slot_of(row)) for row in rows]
        name: Callable[[int], Any] = (lambda _: "") if by is GroupBy.NONE else (lambda n: n or "")
        return [
            (name(found.number), found.partition, span.slot_of_day(day), slot_of_day(totals))
            for found in counted
            for day, totals in found.days
        ]

    async def _callers_by_slot(self, span: Span, wanted: Filter) -> dict[int, dict[int, int]]:
        """Slot -> number -> partition."""
        anonymous = await self.anonymous()
        found: defaultdict[int, dict[int, int]] = defaultdict(dict)
        counted = await self._counted(span, wanted)
        if counted is not None:
            for one in counted:
                for day, totals in one.days:
                    if totals.calls and one.number != anonymous:
                        found[span.slot_of_day(day)][one.number] = one.partition
            return found
        rows = await self._archive.callers(_where(span, wanted), span.slots)
        for slot, number, partition in rows:
            if number != anonymous:
                found[slot][number] = partition
        return found

    async def _first_slots(self, span: Span, customers: Mapping[int, int]) -> dict[int, int]:
        """Number -> the slot of its very first call, where that lies in the span."""
        partitions = self._store.keyspace.partitions
        numbers = list(customers)
        first: dict[int, int] = {}
        for start in range(0, len(numbers), BY_CUSTOMER_MAX):
            some = numbers[start : start + BY_CUSTOMER_MAX]
            lifetimes = await self._counters.lifetimes(
                (partitions[customers[number]], number) for number in some
            )
            for number, lifetime in zip(some, lifetimes, strict=True):
                at_ms = lifetime.first_seen_ms
                if at_ms is not None and span.start_ms <= at_ms < span.end_ms:
                    first[number] = span.slots.of(at_ms)
        return first


def _where(span: Span, wanted: Filter) -> LogFilter:
    return LogFilter(
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        customer_numbers=wanted.customers,
        model=wanted.model,
        app=wanted.app,
    )
