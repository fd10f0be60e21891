"""Events into counters: fold what is new, read what was, write what is, with the cursor.

A customer of whose counters one is no number is set aside: nothing is added to what is
damaged, and everybody else's events go on. What it misses is in its events; `farebox ledger
rebuild` makes its counters anew of all of them.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
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

log = logging.getLogger(__name__)


class CounterSink:
    """Folds events into the counters of `gateway.metering.counters`."""

    name = "flush"
    is_ready = True

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone
        self._aside: frozenset[int] = frozenset()

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
        self._set_aside(tail.partition, changes.keys() - before.keys(), before.keys())
        writes: defaultdict[str, list[str]] = defaultdict(list)
        for number, (lifetime, days_before) in before.items():
            after, days = advance(lifetime, days_before, changes[number])
            if fields := lifetime_fields(lifetime, after):
                writes[tail.partition.counters(number)] += fields
            for day, totals in days.items():
                writes[tail.partition.days(number, month_of(day))] += day_fields(day, totals)
        listed = [number for number in before if number]
        moved = await move(self._store, self.name, tail, writes, listed)
        crash.at("flusher_counted")
        return moved

    async def _read(
        self, partition: Partition, changes: Mapping[int, Change]
    ) -> dict[int, tuple[Lifetime, dict[date, DayTotals]]]:
        """The counters before the batch, of the customers and days that it touches.

        Those that cannot be read are left out.
        """
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
        found: dict[int, tuple[Lifetime, dict[date, DayTotals]]] = {}
        for number, reply in zip(changes, lifetimes, strict=True):
            with suppress(ValueError):
                found[number] = read_lifetime(reply), {}
        for (number, days), texts in zip(months, texts_by_month, strict=True):
            if number in found:
                try:
                    found[number][1].update(zip(days, map(unpack, texts), strict=True))
                except ValueError:
                    del found[number]
        return found

    def _set_aside(
        self, partition: Partition, damaged: AbstractSet[int], sound: AbstractSet[int]
    ) -> None:
        """Say it once of each."""
        for number in damaged - self._aside:
            log.error(
                "counters_unreadable key=%s customer=%d: its events are not counted until"
                " `farebox ledger rebuild` has made them anew",
                partition.counters(number),
                number,
            )
        self._aside = (self._aside | damaged) - sound
