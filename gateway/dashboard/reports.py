"""Reports: the figures that pages are made of. The one place that asks counters and archive.

All of it is kept for a moment (`kept`). What has to look at every call of a long span may
not be there yet: None is "being added up, look again".
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from gateway.api.customers import Customers
from gateway.api.services import Services
from gateway.dashboard.closed import Closed
from gateway.dashboard.folds import (
    VALUES,
    Fold,
    folded,
    folded_from_archive,
    is_daily,
    slots_of_each,
)
from gateway.dashboard.kept import Kept
from gateway.dashboard.people import People, Person
from gateway.dashboard.spans import Span
from gateway.metering.roster.rows import Column, Row, member, unpacked
from gateway.reports.values import Slot, quantile, slot_of, total
from gateway.store.archive import Askers, LogFilter, Metric, SlotUse, Summary, Timing, UnpricedUse
from gateway.store.keys import ROSTER_ROWS, roster_order

BEFORE_SECONDS_MAX: Final = 300.0
"""A span that is over hardly changes: at most so long it is taken as it was."""

NAMES_SECONDS: Final = 30.0
"""So long no new name of a model is looked for."""

T = TypeVar("T")
InSlot = TypeVar("InSlot", SlotUse, Timing)


class Active(NamedTuple):
    """Customers that called in a slot, and how many of them were new in it."""

    called: int
    new: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the calls of a slot took, in ms; None: there were none."""

    p50: int | None
    p95: int | None
    first_p50: int | None


NO_PACE: Final = Pace(None, None, None)


@dataclass(frozen=True, slots=True)
class Before:
    """What a span is compared with; None where the archive begins within it."""

    totals: Summary | None


@dataclass(frozen=True, slots=True)
class Top:
    person: Person
    partition: int
    use: Slot


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model, in all of a span and in each of its slots."""

    model: str
    use: Slot
    slots: Sequence[Slot]

    @property
    def is_unpriced(self) -> bool:
        """Not one of its calls has a price: its cost is unknown, not zero."""
        return self.use.unpriced > 0 and self.use.unpriced >= self.use.requests


class Reports:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive
        self.customers = Customers(services)
        self.people = People(self.customers)
        self._kept = Kept(services.clock)
        self._closed = Closed(services.clock)

    async def fold(self, span: Span) -> Fold:
        """Sums of everybody."""
        return await self._kept.get(("fold", span.key), lambda: self._fold(span))

    async def fold_of(self, span: Span, number: int, partition: int) -> Fold:
        """Sums of one customer."""
        one = {number: partition}
        return await self._kept.get(("fold", span.key, number), lambda: self._fold(span, one))

    async def before(self, span: Span) -> Before | None:
        """Totals of the span before."""
        fresh = min(BEFORE_SECONDS_MAX, (span.end_ms - span.start_ms) / 100_000)
        key = ("before", span.key)
        return await self._kept.soon(key, lambda: self._before(span), fresh)

    async def slots_of(
        self, span: Span, customers: Mapping[int, int]
    ) -> Mapping[int, Sequence[Slot]]:
        """Customer number -> its slots, of these: number -> index of the partition."""
        key = ("slots_of", span.key, tuple(sorted(customers)))
        return await self._kept.get(key, lambda: self._slots_of(span, customers))

    async def top(self, span: Span, metric: Metric, limit: int) -> list[Top]:
        """The customers with most of it, the greatest first."""
        ranked = (await self.fold(span)).most[metric][:limit]
        people = await self.people.of((number, one.partition) for number, one in ranked)
        return [Top(people[number], one.partition, one.use) for number, one in ranked]

    async def used(self, span: Span, numbers: Sequence[int]) -> Mapping[int, Slot]:
        """Customer number -> what it used, of these; who used nothing is missing."""
        used = (await self.fold(span)).used
        return {number: used[number].use for number in numbers if number in used}

    async def most(self, span: Span, metric: Metric, part: slice) -> Sequence[Row]:
        """A part of those that used most, as the roster has them; who is deleted is left out."""
        ranked = (await self.fold(span)).most[metric][part]
        return await self._rows_of((number, one.partition) for number, one in ranked)

    async def ranked(
        self, span: Span, metric: Metric, places: Mapping[int, int], part: slice, *, down: bool
    ) -> Sequence[Row]:
        """The same among these customers: number -> index of the partition; or the least first."""
        used, value = (await self.fold(span)).used, VALUES[metric]

        def much(number: int) -> int:
            return value(used[number].use) if number in used else 0

        ordered = sorted(places, key=much, reverse=down)
        return await self._rows_of((number, places[number]) for number in ordered[part])

    async def active(self, span: Span) -> list[Active]:
        """For each slot, how many customers called, and how many of them for the first time."""
        fold, new = await asyncio.gather(self.fold(span), self._new(span))
        return [
            Active(count, min(fresh, count)) for count, fresh in zip(fold.active, new, strict=True)
        ]

    async def models(self, span: Span) -> list[ModelUse] | None:
        """The dearest first; those without a price by their calls, behind."""
        return await self._soon(("models", span.key), lambda: self._models(span))

    async def models_of(self, span: Span, number: int) -> list[ModelUse]:
        key = ("models", span.key, number)
        return await self._kept.get(key, lambda: self._models_of(span, number))

    async def model_names(self, span: Span) -> Sequence[str]:
        """To choose from; none yet where they take long: no page waits for a suggestion."""
        found = await self._kept.soon(
            ("model_names", span.key),
            lambda: self._archive.askers.models(span.start_ms, span.end_ms),
            NAMES_SECONDS,
        )
        return found or ()

    async def askers(self, span: Span, model: str, tag: str) -> Askers:
        """Who made calls to a model, with a tag, or both; either may be empty."""
        return await self._kept.get(
            ("askers", span.key, model, tag),
            lambda: self._archive.askers.of(span.start_ms, span.end_ms, model=model, tag=tag),
        )

    async def paces(self, span: Span) -> list[Pace] | None:
        return await self._soon(("paces", span.key), lambda: self._paces(span))

    async def unpriced(self, span: Span) -> list[UnpricedUse] | None:
        return await self._soon(
            ("unpriced", span.key), lambda: self._archive.unpriced(self.of(span))
        )

    @staticmethod
    def of(span: Span, numbers: Sequence[int] = ()) -> LogFilter:
        return LogFilter(
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            customer_numbers=tuple(numbers) if numbers else None,
        )

    async def _rows_of(self, places: Iterable[tuple[int, int]]) -> list[Row]:
        members = [member(number, partition) for number, partition in places]
        if not members:
            return []
        stored = await self._services.store.command("HMGET", ROSTER_ROWS, *members)
        return [unpacked(row) for row in stored if row is not None]

    async def _soon(self, key: tuple[object, ...], make: Callable[[], Awaitable[T]]) -> T | None:
        return await self._kept.soon(key, make)

    async def _fold(self, span: Span, some: Mapping[int, int] | None = None) -> Fold:
        anonymous = await self.customers.anonymous()
        if not is_daily(span):
            numbers = None if some is None else tuple(some)
            return await folded_from_archive(self._services, span, numbers, anonymous)
        customers = await self._known() if some is None else some
        return await folded(self._services, span, customers, anonymous)

    async def _known(self) -> Mapping[int, int]:
        """Everybody who ever did anything: number -> index of the partition."""
        return await self._kept.get("known", self._archive.customers)

    async def _before(self, span: Span) -> Before:
        start_ms, end_ms = span.before_ms
        oldest_ms = await self._archive.oldest_ms()
        if oldest_ms is None or oldest_ms > start_ms + (end_ms - start_ms) // 10:
            return Before(None)
        wanted = LogFilter(start_ms=start_ms, end_ms=end_ms)
        totals, anonymous = await asyncio.gather(
            self._archive.summary(wanted), self.customers.anonymous()
        )
        if anonymous is None:
            return Before(totals)
        its_own = await self._archive.summary(replace(wanted, customer_numbers=(anonymous,)))
        return Before(replace(totals, active_users=totals.active_users - its_own.active_users))

    async def _slots_of(
        self, span: Span, customers: Mapping[int, int]
    ) -> Mapping[int, Sequence[Slot]]:
        if not customers:
            return {}
        if is_daily(span):
            return await slots_of_each(self._services, span, customers)
        wanted = self.of(span, tuple(customers))
        rows = await self._archive.use(wanted, slots=span.slots, by="customer")
        found: dict[int, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = slot_of(row)
        starts = [slot for slot, _ in span.starts()]
        return {n: [found[n].get(slot, Slot()) for slot in starts] for n in customers}

    async def _models(self, span: Span) -> list[ModelUse]:
        async def read(start_ms: int) -> Mapping[int, Sequence[SlotUse]]:
            since = replace(span, start_ms=start_ms)
            rows = await self._archive.use(self.of(since), slots=span.slots, by="model")
            return _by_slot(rows)

        by_slot = await self._closed.get("models", span, read)
        return _by_model(span, chain.from_iterable(by_slot.values()))

    async def _models_of(self, span: Span, number: int) -> list[ModelUse]:
        wanted = self.of(span, (number,))
        return _by_model(span, await self._archive.use(wanted, slots=span.slots, by="model"))

    async def _new(self, span: Span) -> list[int]:
        starts = [max(int(at.timestamp() * 1000), span.start_ms) for _, at in span.starts()]
        ends = [*starts[1:], span.end_ms]
        replies = await self._services.store.commands(
            [
                ("ZCOUNT", roster_order(Column.FIRST_SEEN), start, f"({end}")
                for start, end in zip(starts, ends, strict=True)
            ]
        )
        return [int(reply) for reply in replies]

    async def _paces(self, span: Span) -> list[Pace]:
        starts = [slot for slot, _ in span.starts()]
        calls = dict(zip(starts, (await self.fold(span)).slots, strict=True))

        async def read(start_ms: int) -> Mapping[int, Pace]:
            since = span.slots.of(start_ms)
            count = sum(of_slot.requests for slot, of_slot in calls.items() if slot >= since)
            wanted = self.of(replace(span, start_ms=start_ms))
            timings = await self._archive.timings(wanted, span.slots, count)
            return {slot: _pace(some) for slot, some in _by_slot(timings).items()}

        found = await self._closed.get("paces", span, read)
        return [found.get(slot, NO_PACE) for slot in starts]


def _pace(timings: Sequence[Timing]) -> Pace:
    whole = [timing.latency_ms for timing in timings if timing.latency_ms is not None]
    first = [timing.first_token_ms for timing in timings if timing.first_token_ms is not None]
    return Pace(quantile(whole, 0.5), quantile(whole, 0.95), quantile(first, 0.5))


def _by_model(span: Span, rows: Iterable[SlotUse]) -> list[ModelUse]:
    """The dearest first."""
    found: dict[str, dict[int, Slot]] = defaultdict(dict)
    for row in rows:
        if row.key:
            found[row.key][row.slot] = slot_of(row)
    starts = [slot for slot, _ in span.starts()]
    models = [
        ModelUse(model, total(of.values()), [of.get(slot, Slot()) for slot in starts])
        for model, of in found.items()
    ]
    return sorted(models, key=lambda m: (-m.use.cost_pico, -m.use.requests, m.model))


def _by_slot(rows: Iterable[InSlot]) -> dict[int, list[InSlot]]:
    found: dict[int, list[InSlot]] = defaultdict(list)
    for row in rows:
        found[row.slot].append(row)
    return found
