"""Retention: rows of the archive go when they are old, and leave their sums behind.

Only what has been trimmed from its stream is removed: an entry that is still there could be
archived once more. What was removed and what is in the archive add up, for ever, to what
all events said; `change_of` reads the one, `fold` the other.
"""

from collections.abc import Iterable, Sequence
from datetime import date, tzinfo
from typing import Final

from gateway.event import UsageEvent
from gateway.metering.fold import Change, day_of
from gateway.metering.loop import repeat
from gateway.metering.sinks import cursors_of
from gateway.metering.totals import Totals, total, totals_of
from gateway.store.archive import Archive, ArchivedEvent, PastDay
from gateway.store.client import Store
from gateway.store.keys import HOUR_MS
from gateway.store.stream_ids import before, halves

IDLE_SECONDS: Final = 3_600.0
BUSY_SECONDS: Final = 0.5
"""Between two batches: those who write rows come first."""

DAY_MS: Final = 24 * HOUR_MS


class Retention:
    """Of one archive.

    Attributes:
        removed: Rows that this one has removed.
    """

    def __init__(self, store: Store, archive: Archive, *, zone: tzinfo, days: int | None) -> None:
        self._store = store
        self._archive = archive
        self._zone = zone
        self._days = days
        self.removed = 0

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat("retention", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """Remove one batch of old rows of every partition; returns how many went.

        Raises:
            LedgerUnavailable: the store is away.
            sqlalchemy.exc.SQLAlchemyError: the archive is.
        """
        if self._days is None:
            return 0
        partitions = self._store.keyspace.partitions
        edge = before(await self._store.time_ms(partitions[0]) - self._days * DAY_MS)
        count = 0
        for partition, trimmed in zip(
            partitions, await cursors_of(self._store, "trim", partitions), strict=True
        ):
            if trimmed:
                until = min(edge, trimmed, key=halves)
                count += await self._archive.retire(partition.index, until, self._fold)
        self.removed += count
        return count

    def _fold(self, rows: Iterable[ArchivedEvent]) -> list[PastDay]:
        return past_days((row.event for row in rows), self._zone)


def past_days(events: Iterable[UsageEvent], zone: tzinfo) -> list[PastDay]:
    """What to keep of events that go: their `Totals` by customer, day, app and group."""
    found: dict[tuple[int, date, str, str], list[UsageEvent]] = {}
    for event in events:
        key = (event.customer_number, day_of(event.at_ms, zone), event.app, event.group or "")
        found.setdefault(key, []).append(event)
    return [
        PastDay(
            *key,
            numbers=total(map(totals_of, of_key)),
            first_seen_ms=min((e.at_ms for e in of_key if e.is_usage), default=None),
            last_seen_ms=max((e.at_ms for e in of_key if e.is_usage), default=None),
        )
        for key, of_key in found.items()
    ]


def change_of(past: Iterable[PastDay]) -> dict[int, Change]:
    """As `fold` of the events that went: customer number -> what they had added to it."""
    found: dict[int, list[PastDay]] = {}
    for day in past:
        found.setdefault(day.customer_number, []).append(day)
    return {number: _change(days) for number, days in found.items()}


def _change(past: Sequence[PastDay]) -> Change:
    days: dict[date, Totals] = {}
    for gone in past:
        # A later version may count more, an earlier one counted less.
        numbers = Totals(*gone.numbers[: len(Totals._fields)])
        days[gone.day] = total([days.get(gone.day, Totals()), numbers])
    return Change(
        days,
        min((d.first_seen_ms for d in past if d.first_seen_ms is not None), default=None),
        max((d.last_seen_ms for d in past if d.last_seen_ms is not None), default=None),
    )
