"""Events into counters: fold what is new, read what was, write what is, with the cursor."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, tzinfo
from itertools import groupby
from typing import Final

from gateway import crash
from gateway.metering.counters import (
    day_fields,
    days_command,
    lifetime_command,
    lifetime_fields,
    month_of,
    read_lifetime,
)
from gateway.metering.fold import Change, advance, fold
from gateway.metering.sinks import Tail, cursors_of, move, outcome
from gateway.metering.totals import DayTotals, Lifetime, unpack
from gateway.store.client import Store
from gateway.store.keys import Partition

PARTITIONS_AT_ONCE_MAX: Final = 8
"""Folded in one go: between groups the loop serves calls."""


class CounterSink:
    """Folds events into the counters of `gateway.metering.counters`."""

    name = "flush"
    is_ready = True

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone

    async def cursors(self, partitions: Sequence[Partition]) -> Sequence[str]:
        return await cursors_of(self._store, self.name, partitions)

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        moved: list[bool] = []
        for start in range(0, len(tails), PARTITIONS_AT_ONCE_MAX):
            group = tails[start : start + PARTITIONS_AT_ONCE_MAX]
            done = await asyncio.gather(*map(self._count, group), return_exceptions=True)
            for tail, result in zip(group, done, strict=True):
                moved.append(outcome(self.name, tail, result))
        return moved

    async def _count(self, tail: Tail) -> bool:
        changes = fold([event for _, event in tail.events], self._zone)
        before = await self._read(tail.partition, changes)
        writes: defaultdict[str, list[str]] = defaultdict(list)
        for number, change in changes.items():
            lifetime, days_before = before[number]
            after, days = advance(lifetime, days_before, change)
            if fields := lifetime_fields(lifetime, after):
                writes[tail.partition.counters(number)] += fields
            for day, totals in days.items():
                writes[tail.partition.days(number, month_of(day))] += day_fields(day, totals)
        listed = [number for number in changes if number]
        moved = await move(self._store, self.name, tail, writes, listed)
        crash.at("flusher_counted")
        return moved

    async def _read(
        self, partition: Partition, changes: Mapping[int, Change]
    ) -> dict[int, tuple[Lifetime, dict[date, DayTotals]]]:
        """The counters before the batch, of the customers and days that it touches."""
        months = [
            (number, list(days))
            for number, change in changes.items()
            for _, days in groupby(sorted(change.days), key=month_of)
        ]
        replies = await self._store.commands(
            [lifetime_command(partition, number) for number in changes]
            + [days_command(partition, number, days) for number, days in months]
        )
        lifetimes, texts_by_month = replies[: len(changes)], replies[len(changes) :]
        found: dict[int, tuple[Lifetime, dict[date, DayTotals]]] = {
            number: (read_lifetime(reply), {})
            for number, reply in zip(changes, lifetimes, strict=True)
        }
        for (number, days), texts in zip(months, texts_by_month, strict=True):
            found[number][1].update(zip(days, map(unpack, texts), strict=True))
        return found
