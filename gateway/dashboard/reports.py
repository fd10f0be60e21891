"""Reports: the figures that pages are made of. The one place that asks archive and counters."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.api.customers import Customers
from gateway.api.services import Services
from gateway.dashboard.people import People, Person
from gateway.dashboard.spans import Span
from gateway.store.archive import CustomerUse, LogFilter, Metric, SlotUse, Summary, UnpricedUse
from gateway.store.keys import CUSTOMERS_BY_FIRST_SEEN

TOP_MAX: Final = 8


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

    def of(self, span: Span, **more: object) -> LogFilter:
        return replace(LogFilter(start_ms=span.start_ms, end_ms=span.end_ms), **more)  # type: ignore[arg-type]

    async def totals(self, wanted: LogFilter) -> Summary:
        """Without the anonymous customer among the active ones."""
        totals, anonymous = await asyncio.gather(
            self._archive.summary(wanted), self.customers.anonymous()
        )
        numbers = wanted.customer_numbers
        if anonymous is None or (numbers is not None and anonymous not in numbers):
            return totals
        its_own = await self._archive.summary(replace(wanted, customer_numbers=(anonymous,)))
        return _without(totals, its_own.active_users)

    async def before(self, span: Span, **more: object) -> Summary | None:
        """The same figures of the span before; None where the archive begins within it."""
        start_ms, end_ms = span.before_ms
        oldest_ms = await self._archive.oldest_ms()
        if oldest_ms is None or oldest_ms > start_ms + (end_ms - start_ms) // 10:
            return None
        return await self.totals(replace(self.of(span, **more), start_ms=start_ms, end_ms=end_ms))

    async def slots(self, span: Span, **more: object) -> list[Slot]:
        rows = await self._archive.use(self.of(span, **more), slots=span.slots)
        found = {row.slot: _slot(row) for row in rows}
        return [found.get(slot, Slot()) for slot, _ in span.starts()]

    async def slots_of(self, span: Span, numbers: Sequence[int]) -> Mapping[int, list[Slot]]:
        """Customer number -> its slots."""
        wanted = self.of(span, customer_numbers=tuple(numbers))
        rows = await self._archive.use(wanted, slots=span.slots, by="customer")
        found: dict[int, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = _slot(row)
        starts = [slot for slot, _ in span.starts()]
        return {n: [found[n].get(slot, Slot()) for slot in starts] for n in numbers}

    async def top(self, span: Span, metric: Metric, limit: int, **more: object) -> list[Top]:
        users = await self._archive.top_users(self.of(span, **more), metric, limit)
        people = await self.people.of((u.customer_number, u.partition) for u in users)
        return [Top(people[user.customer_number], user) for user in users]

    async def models(self, wanted: LogFilter) -> list[ModelRow]:
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

    async def model_slots(self, span: Span) -> Mapping[str, list[Slot]]:
        rows = await self._archive.use(self.of(span), slots=span.slots, by="model")
        found: dict[str, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = _slot(row)
        starts = [slot for slot, _ in span.starts()]
        return {m: [of.get(slot, Slot()) for slot in starts] for m, of in found.items() if m}

    async def active(self, span: Span) -> list[tuple[int, int]]:
        """For each slot, how many customers called, and how many of them for the first time."""
        anonymous = await self.customers.anonymous()
        active, new = await asyncio.gather(
            self._archive.active(self.of(span), span.slots, without=anonymous), self._new(span)
        )
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
                ("ZCOUNT", CUSTOMERS_BY_FIRST_SEEN, start, f"({end}")
                for start, end in zip(starts, ends, strict=True)
            ]
        )
        return [int(reply) for reply in replies]

    async def paces(self, wanted: LogFilter, span: Span, calls: int) -> list[Pace]:
        timings = await self._archive.timings(wanted, span.slots, calls)
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

    async def unpriced(self, span: Span) -> list[UnpricedUse]:
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
