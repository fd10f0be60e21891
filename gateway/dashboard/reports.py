"""Reports: the figures that pages are made of. The one place that asks archive and counters."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from gateway.api.customers import Customers
from gateway.api.services import Services
from gateway.dashboard.kept import Kept
from gateway.dashboard.people import People, Person
from gateway.dashboard.spans import Span
from gateway.metering.roster.rows import Column, Row, unpacked
from gateway.store.archive import CustomerUse, LogFilter, Metric, SlotUse, Summary, UnpricedUse
from gateway.store.keys import ROSTER_ROWS, roster_order

TOP_MAX: Final = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Slot:
    """Sums of one slot; all zero where nothing happened."""

    requests: int = 0
    tokens: int = 0
    cost_pico: int = 0
    charge_pico: int = 0
    errors: int = 0
    rejected: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the calls of a slot took, in ms; None: there were none."""

    p50: int | None
    p95: int | None
    first_p50: int | None


@dataclass(frozen=True, slots=True)
class Top:
    person: Person
    use: CustomerUse


@dataclass(frozen=True, slots=True)
class ModelRow:
    model: str
    requests: int
    tokens: int
    cost_pico: int
    charge_pico: int
    errors: int
    unpriced: int

    @property
    def is_unpriced(self) -> bool:
        """Not one of its calls has a price: its cost is unknown, not zero."""
        return self.unpriced > 0 and self.unpriced >= self.requests


class Reports:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive
        self.customers = Customers(services)
        self.people = People(self.customers)
        self._kept = Kept(services.clock)

    # What pages ask. Each of these is kept for a moment; what it is, says its twin below.

    async def totals(self, span: Span, *numbers: int) -> Summary:
        return await self._get(
            "totals", span, numbers, lambda: self._totals(self.of(span, numbers))
        )

    async def before(self, span: Span, *numbers: int) -> Summary | None:
        return await self._get("before", span, numbers, lambda: self._before(span, numbers))

    async def slots(self, span: Span, *numbers: int) -> list[Slot]:
        return await self._get("slots", span, numbers, lambda: self._slots(span, numbers))

    async def slots_of(self, span: Span, numbers: Sequence[int]) -> Mapping[int, list[Slot]]:
        """Customer number -> its slots."""
        key = tuple(sorted(numbers))
        if not key:
            return {}
        return await self._get("slots_of", span, key, lambda: self._slots_of(span, numbers))

    async def top(self, span: Span, metric: Metric, limit: int) -> list[Top]:
        key = (metric, limit)
        return await self._get("top", span, key, lambda: self._top(span, metric, limit))

    async def used(self, span: Span, numbers: Sequence[int]) -> Mapping[int, Slot]:
        """Customer number -> what it used, of these; who used nothing is missing."""
        key = tuple(sorted(numbers))
        return await self._get("used", span, key, lambda: self._used(span, key))

    async def dearest(self, span: Span, limit: int) -> Sequence[Row]:
        """Those whose calls cost most, as the roster has them."""
        return await self._get("dearest", span, limit, lambda: self._dearest(span, limit))

    async def models(self, span: Span, *numbers: int) -> list[ModelRow]:
        """The dearest first; those without a price by their calls, behind."""
        return await self._get(
            "models", span, numbers, lambda: self._models(self.of(span, numbers))
        )

    async def model_slots(self, span: Span) -> Mapping[str, list[Slot]]:
        return await self._get("model_slots", span, (), lambda: self._model_slots(span))

    async def active(self, span: Span) -> list[tuple[int, int]]:
        """For each slot, how many customers called, and how many of them for the first time."""
        return await self._get("active", span, (), lambda: self._active(span))

    async def paces(self, span: Span) -> list[Pace]:
        return await self._get("paces", span, (), lambda: self._paces(span))

    async def unpriced(self, span: Span) -> list[UnpricedUse]:
        return await self._get("unpriced", span, (), lambda: self._unpriced(span))

    async def _get(
        self, name: str, span: Span, more: Hashable, make: Callable[[], Awaitable[T]]
    ) -> T:
        return await self._kept.get((name, span.key, more), make)

    @staticmethod
    def of(span: Span, numbers: Sequence[int] = ()) -> LogFilter:
        return LogFilter(
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            customer_numbers=tuple(numbers) if numbers else None,
        )

    async def _totals(self, wanted: LogFilter) -> Summary:
        """Without the anonymous customer among the active ones."""
        totals, anonymous = await asyncio.gather(
            self._archive.summary(wanted), self.customers.anonymous()
        )
        numbers = wanted.customer_numbers
        if anonymous is None or (numbers is not None and anonymous not in numbers):
            return totals
        its_own = await self._archive.summary(replace(wanted, customer_numbers=(anonymous,)))
        return _without(totals, its_own.active_users)

    async def _before(self, span: Span, numbers: Sequence[int]) -> Summary | None:
        """The same figures of the span before; None where the archive begins within it."""
        start_ms, end_ms = span.before_ms
        oldest_ms = await self._archive.oldest_ms()
        if oldest_ms is None or oldest_ms > start_ms + (end_ms - start_ms) // 10:
            return None
        wanted = replace(self.of(span, numbers), start_ms=start_ms, end_ms=end_ms)
        return await self._totals(wanted)

    async def _slots(self, span: Span, numbers: Sequence[int]) -> list[Slot]:
        rows = await self._archive.use(self.of(span, numbers), slots=span.slots)
        found = {row.slot: _slot(row) for row in rows}
        return [found.get(slot, Slot()) for slot, _ in span.starts()]

    async def _slots_of(self, span: Span, numbers: Sequence[int]) -> Mapping[int, list[Slot]]:
        """Customer number -> its slots."""
        rows = await self._archive.use(self.of(span, numbers), slots=span.slots, by="customer")
        found: dict[int, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = _slot(row)
        starts = [slot for slot, _ in span.starts()]
        return {n: [found[n].get(slot, Slot()) for slot in starts] for n in numbers}

    async def _top(self, span: Span, metric: Metric, limit: int) -> list[Top]:
        users = await self._archive.top_users(self.of(span), metric, limit)
        people = await self.people.of((u.customer_number, u.partition) for u in users)
        return [Top(people[user.customer_number], user) for user in users]

    async def _used(self, span: Span, numbers: Sequence[int]) -> dict[int, Slot]:
        if not numbers:
            return {}
        rows = await self._archive.use(self.of(span, numbers), by="customer")
        return {row.key: _slot(row) for row in rows}

    async def _dearest(self, span: Span, limit: int) -> list[Row]:
        users = await self._archive.top_users(self.of(span), Metric.COST, limit)
        members = [f"{user.partition}:{user.customer_number}" for user in users]
        if not members:
            return []
        stored = await self._services.store.command("HMGET", ROSTER_ROWS, *members)
        return [unpacked(row) for row in stored if row is not None]

    async def _models(self, wanted: LogFilter) -> list[ModelRow]:
        """The dearest first; those without a price by their calls, behind."""
        rows = await self._archive.use(wanted, by="model")
        models = [
            ModelRow(
                row.key,
                row.requests,
                row.tokens,
                row.cost_pico,
                row.charge_pico,
                row.errors,
                row.unpriced,
            )
            for row in rows
            if row.key
        ]
        return sorted(models, key=lambda m: (-m.cost_pico, -m.requests, m.model))

    async def _model_slots(self, span: Span) -> Mapping[str, list[Slot]]:
        rows = await self._archive.use(self.of(span), slots=span.slots, by="model")
        found: dict[str, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = _slot(row)
        starts = [slot for slot, _ in span.starts()]
        return {m: [of.get(slot, Slot()) for slot in starts] for m, of in found.items() if m}

    async def _active(self, span: Span) -> list[tuple[int, int]]:
        anonymous = await self.customers.anonymous()
        callers, new = await asyncio.gather(
            self._archive.callers(self.of(span), span.slots), self._new(span)
        )
        active = Counter(slot for slot, number, _ in callers if number != anonymous)
        return [
            (count, min(fresh, count))
            for (slot, _), fresh in zip(span.starts(), new, strict=True)
            for count in [active.get(slot, 0)]
        ]

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
        calls = (await self.totals(span)).requests
        timings = await self._archive.timings(self.of(span), span.slots, calls)
        whole: dict[int, list[int]] = defaultdict(list)
        first: dict[int, list[int]] = defaultdict(list)
        for timing in timings:
            if timing.latency_ms is not None:
                whole[timing.slot].append(timing.latency_ms)
            if timing.first_token_ms is not None:
                first[timing.slot].append(timing.first_token_ms)
        return [
            Pace(
                quantile(whole[slot], 0.5), quantile(whole[slot], 0.95), quantile(first[slot], 0.5)
            )
            for slot, _ in span.starts()
        ]

    async def _unpriced(self, span: Span) -> list[UnpricedUse]:
        return await self._archive.unpriced(self.of(span))


def quantile(values: list[int], q: float) -> int | None:
    """The nearest rank; None of nothing."""
    if not values:
        return None
    values.sort()
    return values[min(int(q * len(values)), len(values) - 1)]


def _slot(row: SlotUse) -> Slot:
    return Slot(
        row.requests,
        row.tokens,
        row.cost_pico,
        row.charge_pico,
        row.errors,
        row.rejected,
        row.unpriced,
    )


def _without(totals: Summary, anonymous: int) -> Summary:
    return replace(totals, active_users=totals.active_users - anonymous)
