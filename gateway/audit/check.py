"""Checking one partition against its events, while calls, flusher and trimming go on.

Every comparison is made at one instant: of a snapshot, up to whose last entry the events
have been added up. So what is found is a difference, never a race.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from types import MappingProxyType
from typing import Final

from gateway.audit import compare
from gateway.audit.archived import BesideTheStream, archived, before_the_stream
from gateway.audit.differences import DIFFERENCES_MAX, Difference
from gateway.audit.entries import Trimmed
from gateway.audit.names import named
from gateway.audit.prices import Prices
from gateway.audit.reading import Inspection, Reading, batches
from gateway.audit.scopes import GroupTally, ScopeBook, held_differences, overshoot, scope_books
from gateway.audit.snapshot import Fields, Snapshot, snapshot
from gateway.audit.survey import Known
from gateway.audit.tally import Sums
from gateway.metering.counters import month_of
from gateway.rating import Rating
from gateway.store.archive import Archive
from gateway.store.client import Store
from gateway.store.keys import Partition

TRIES_MAX: Final = 5
"""Beginnings again because entries were trimmed faster than they were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What a partition's accounts add up to, pico-USD; and two counts.

    Attributes:
        held_pico, over_settle_pico, over_event_pico: Of customers.
        holds: Open ones.
        group_…, app_…: Of groups and apps: the same money once more, as far as it is theirs.
        alien: Stream entries that are no events.
    """

    held_pico: int = 0
    holds: int = 0
    over_settle_pico: int = 0
    over_event_pico: int = 0
    over_limit_pico: int = 0
    alien: int = 0
    group_over_settle_pico: int = 0
    group_over_event_pico: int = 0
    app_over_settle_pico: int = 0
    app_over_event_pico: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check of a partition has seen and found.

    Attributes:
        differences: The first of them, at most `DIFFERENCES_MAX`.
        found: How many there are.
        all_counters: Whether every counter was compared, not only charge and cost.
        groups: What this partition's events add to them; whole if `all_counters` is.
    """

    partition: int
    checked_ms: int
    differences: Sequence[Difference]
    found: int
    customers: int
    events: int
    all_counters: bool
    groups: Mapping[str, Sums]
    sum: Sum


class Check:
    """Of any partition of a store.

    Args:
        zone: The reporting zone; with it, details are read and all counters compared, as
            far as the stream goes back. Without, charge and cost alone.
        rating: Prices every event again; needs `zone`.
        archive: Compared too, and read for what was trimmed; needs `zone`.
    """

    def __init__(
        self,
        store: Store,
        *,
        zone: tzinfo | None = None,
        rating: Rating | None = None,
        archive: Archive | None = None,
    ) -> None:
        self._store = store
        self._zone = zone
        self._prices = Prices(rating) if rating else None
        self._archive = archive

    async def run(
        self,
        partition: Partition,
        known: Known,
        groups: Mapping[str, ScopeBook] = MappingProxyType({}),
    ) -> Checked:
        """Check a partition.

        Args:
            groups: To be added up, each as far as its cursor for this partition stands.

        Raises:
            Trimmed, Retired: time and again, entries went before they could be read.
            LedgerUnavailable: the store is away.
        """
        for tries in range(1, TRIES_MAX + 1):
            try:
                return await self._run(partition, known, groups)
            except Trimmed:
                if tries == TRIES_MAX:
                    raise
        raise AssertionError

    async def _run(
        self, partition: Partition, known: Known, groups: Mapping[str, ScopeBook]
    ) -> Checked:
        store, index = self._store, partition.index
        first = await snapshot(store, partition, checkpoints=True)
        reading, found, tally, beside = await self._begin(partition, first, groups)
        await reading.read_to(first.last)
        numbers = reading.numbers(known, first)
        found.add(compare.leases(index, first))
        scopes = await scope_books(store, partition, known.scopes)
        found.add(held_differences(scopes))
        total = Sum(holds=len(first.holds), **overshoot(scopes))
        for batch in batches(numbers, lambda number: keys_of(reading, number, known)):
            keys = [key for of_number in batch.values() for key in of_number]
            seen = await snapshot(store, partition, keys)
            await reading.read_to(seen.last)
            reading.tally.count_to(seen.cursor("flush"))
            for number in batch:
                found.add(_differences(reading, number, known, seen))
                total = _plus(total, seen.hashes[partition.account(number)])
        if beside is not None:  # every row that was read has come through the stream by now
            await reading.read_to((await snapshot(store, partition)).last)
            found.add(beside.lost())
        found.add(compare.endings(index, reading.tally.twice))
        found.add(reading.remarks)
        total = replace(total, alien=reading.alien)
        return Checked(
            partition=index,
            checked_ms=first.now_ms,
            differences=await named(store, partition, found.kept),
            found=found.count,
            customers=len(numbers),
            events=reading.tally.events,
            all_counters=reading.history is not None,
            groups=tally.sums,
            sum=total,
        )

    async def _begin(
        self, partition: Partition, first: Snapshot, groups: Mapping[str, ScopeBook]
    ) -> tuple[Reading, "_Found", GroupTally, BesideTheStream | None]:
        """With what the archive knows of the time before the stream, where it is asked."""
        index, found, before, beside = partition.index, _Found(), None, None
        tally = GroupTally(index, groups)
        inspections: list[Inspection] = []
        if self._archive is not None and self._zone is not None:
            trimmed = first.cursor("trim")
            rows = await archived(self._archive, index, trimmed, self._zone, groups)
            before, tally = rows.before, rows.groups
            found.add(before_the_stream(index, first, before))
            beside = BesideTheStream(index, first.cursor("archive"), rows.rows)
            inspections.append(beside.check)
        if self._prices is not None:
            check = self._prices.check
            inspections.append(lambda _, event: check(index, event))
        if groups:
            inspections.append(tally.add)
        reading = Reading(
            self._store, partition, first, zone=self._zone, before=before, inspections=inspections
        )
        return reading, found, tally, beside


class _Found:
    """Differences, of which only so many are kept."""

    def __init__(self) -> None:
        self.kept: list[Difference] = []
        self.count = 0

    def add(self, differences: Iterable[Difference]) -> None:
        for difference in differences:
            self.count += 1
            if len(self.kept) < DIFFERENCES_MAX:
                self.kept.append(difference)


def keys_of(reading: Reading, number: int, known: Known) -> list[str]:
    """The hashes that a customer's comparison needs."""
    partition = reading.partition
    keys = [partition.account(number), partition.counters(number)]
    if reading.history is not None:
        keys += [partition.days(number, month) for month in sorted(reading.months(number, known))]
    return keys


def _differences(
    reading: Reading, number: int, known: Known, seen: Snapshot
) -> Iterator[Difference]:
    partition, tally = reading.partition, reading.tally
    index = partition.index
    fields = seen.hashes[partition.account(number)]
    if number:  # calls of nobody in particular are counted, and have no account
        yield from compare.account(
            index,
            number,
            fields,
            spent=tally.spent(number),
            in_windows=tally.in_windows(number),
            held_pico=seen.held_pico.get(number, 0),
        )
    if reading.history is None:
        counters = seen.hashes[partition.counters(number)]
        yield from compare.money_counters(index, number, counters, tally.counted(number))
    else:
        yield from counter_differences(reading, number, known, seen)


def counter_differences(
    reading: Reading, number: int, known: Known, seen: Snapshot
) -> Iterator[Difference]:
    """Of all counters, in the months that the snapshot has."""
    assert reading.history is not None
    partition = reading.partition
    counted = reading.history.at(number, seen.cursor("flush"))
    months = {
        month: fields
        for month in reading.months(number, known)
        if (fields := seen.hashes.get(partition.days(number, month))) is not None
    }
    days = {
        day: totals
        for month, fields in months.items()
        for day, totals in compare.days_of(month, fields).items()
    }
    expected = {d: totals for d, totals in counted.days.items() if month_of(d) in months}
    yield from compare.counters(
        partition.index,
        number,
        seen.hashes[partition.counters(number)],
        days,
        replace(counted, days=expected),
    )


def _plus(total: Sum, fields: Fields) -> Sum:
    return replace(
        total,
        held_pico=total.held_pico + compare.whole(fields, b"held"),
        over_settle_pico=total.over_settle_pico + compare.whole(fields, b"over.settle"),
        over_event_pico=total.over_event_pico + compare.whole(fields, b"over.event"),
        over_limit_pico=total.over_limit_pico + compare.whole(fields, b"over.limit"),
    )
