"""Reports: the figures that pages are made of. The one place that asks counters and archive.

All of it is kept for a moment (`kept`). What has to look at every call, because the archive of
an earlier version is being summed up, may not be there yet: None is "look again".
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from gateway.api.customers import Customers
from gateway.api.services import Services
from gateway.dashboard.folds import VALUES, Fold, folded, is_daily, slots_of_each
from gateway.dashboard.kept import Kept
from gateway.dashboard.people import People, Person
from gateway.dashboard.spans import Span
from gateway.metering.roster.rows import Row, member, unpacked
from gateway.reports.values import Slot, slot_of, summary_of, total
from gateway.store.archive import (
    NO_PACES,
    Askers,
    LogFilter,
    Metric,
    Paces,
    SlotUse,
    Summary,
    UnpricedUse,
)
from gateway.store.archive.spreads import quantile
from gateway.store.keys import ROSTER_ROWS

BEFORE_SECONDS_MAX: Final = 300.0
"""A span that is over hardly changes: at most so long it is taken as it was."""

FEW: Final = 200
"""Customers who are looked up one by one; for more, everybody is summed up, and kept."""

NAMES_SECONDS: Final = 30.0
"""So long no new name of a model is looked for."""

T = TypeVar("T")

NUMBERS: Final[Mapping[Metric, str]] = {
    Metric.COST: "cost_pico",
    Metric.TOKENS: "tokens",
    Metric.REQUESTS: "requests",
}
"""What customers are ranked by, as the archive calls it."""


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
        self._answers = services.archive.answers

    async def fold(self, span: Span) -> Fold:
        """Sums of everybody."""
        return await self._kept.get(("fold", span.key), lambda: self._fold(span, ()))

    async def fold_of(self, span: Span, number: int) -> Fold:
        """Sums of one customer."""
        return await self._kept.get(("fold", span.key, number), lambda: self._fold(span, (number,)))

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
        ranked = await self._most(span, metric, limit)
        people = await self.people.of((one.key, one.partition) for one in ranked)
        return [Top(people[one.key], one.partition, slot_of(one)) for one in ranked]

    async def used(self, span: Span, numbers: Sequence[int]) -> Mapping[int, Slot]:
        """Customer number -> what it used, of these (and others); who used nothing is missing."""
        if not numbers:
            return {}
        some = tuple(numbers) if len(numbers) <= FEW else ()
        return await self._kept.get(("used", span.key, some), lambda: self._used(span, some))

    async def _used(self, span: Span, numbers: Sequence[int]) -> Mapping[int, Slot]:
        uses = await self._answers.use(self.of(span, numbers), by="customer")
        return {use.key: slot_of(use) for use in uses}

    async def most(self, span: Span, metric: Metric, part: slice) -> Sequence[Row]:
        """A part of those that used most, as the roster has them; who is deleted is left out."""
        ranked = (await self._most(span, metric, part.stop))[part]
        return await self._rows_of((one.key, one.partition) for one in ranked)

    async def ranked(
        self, span: Span, metric: Metric, places: Mapping[int, int], part: slice, *, down: bool
    ) -> Sequence[Row]:
        """The same among these customers: number -> index of the partition; or the least first."""
        value, used = VALUES[metric], await self.used(span, tuple(places))

        def much(number: int) -> int:
            return value(used[number]) if number in used else 0

        ordered = sorted(places, key=much, reverse=down)
        return await self._rows_of((number, places[number]) for number in ordered[part])

    async def active(self, span: Span) -> list[Active]:
        """For each slot, how many customers called, and how many of them for the first time."""
        fold, new = await asyncio.gather(self.fold(span), self._new(span))
        slots = (slot for slot, _ in span.starts())
        return [
            Active(count, new.get(slot, 0)) for slot, count in zip(slots, fold.active, strict=True)
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
            end_ms=span.all_ms,
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

    async def _fold(self, span: Span, numbers: Sequence[int]) -> Fold:
        anonymous = await self.customers.anonymous()
        return await folded(self._answers, span, self.of(span, numbers), anonymous)

    async def _most(self, span: Span, metric: Metric, limit: int) -> list[SlotUse]:
        async def make() -> list[SlotUse]:
            return await self._answers.top(self.of(span), NUMBERS[metric], limit)

        return await self._kept.get(("most", span.key, metric, limit), make)

    async def _before(self, span: Span) -> Before:
        start_ms, end_ms = span.before_ms
        oldest_ms = await self._archive.oldest_ms()
        if oldest_ms is None or oldest_ms > start_ms + (end_ms - start_ms) // 10:
            return Before(None)
        wanted = LogFilter(start_ms=start_ms, end_ms=end_ms)
        anonymous = await self.customers.anonymous()
        uses = await self._answers.use(wanted)
        active = await self._answers.active(wanted, span.slots, but=anonymous)
        return Before(summary_of(uses, active.whole))

    async def _slots_of(
        self, span: Span, customers: Mapping[int, int]
    ) -> Mapping[int, Sequence[Slot]]:
        if not customers:
            return {}
        if is_daily(span):
            return await slots_of_each(self._services, span, customers)
        wanted = self.of(span, tuple(customers))
        rows = await self._answers.use(wanted, slots=span.slots, by="customer")
        found: dict[int, dict[int, Slot]] = defaultdict(dict)
        for row in rows:
            found[row.key][row.slot] = slot_of(row)
        starts = [slot for slot, _ in span.starts()]
        return {n: [found[n].get(slot, Slot()) for slot in starts] for n in customers}

    async def _models(self, span: Span) -> list[ModelUse]:
        uses = await self._answers.use(self.of(span), slots=span.slots, by="model")
        return _by_model(span, uses)

    async def _models_of(self, span: Span, number: int) -> list[ModelUse]:
        wanted = self.of(span, (number,))
        return _by_model(span, await self._answers.use(wanted, slots=span.slots, by="model"))

    async def _new(self, span: Span) -> Mapping[int, int]:
        anonymous = await self.customers.anonymous()
        return await self._answers.new(self.of(span), span.slots, but=anonymous)

    async def _paces(self, span: Span) -> list[Pace]:
        found = await self._answers.paces(self.of(span), span.slots)
        return [_pace(found.get(slot, NO_PACES)) for slot, _ in span.starts()]


def _pace(paces: Paces) -> Pace:
    return Pace(
        quantile(paces.whole, 0.5), quantile(paces.whole, 0.95), quantile(paces.first_token, 0.5)
    )


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
