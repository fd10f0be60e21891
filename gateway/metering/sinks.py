"""Where the stream's events go: counters, and the archive.

Each sink has its own cursor in every partition, and moves it by compare-and-set once its
work is safe. One may fail or lag without the other; whatever was done for a cursor that
did not move is done again, with the same result.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from itertools import groupby
from typing import Any, Final, Protocol

from redis.exceptions import ResponseError
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.event import UsageEvent
from gateway.metering.counters import (
    day_fields,
    days_command,
    lifetime_command,
    lifetime_fields,
    month_of,
    read_lifetime,
)
from gateway.metering.fold import Change, advance, fold
from gateway.metering.totals import DayTotals, Lifetime, unpack
from gateway.store.archive import Archive, ArchivedEvent
from gateway.store.client import Store
from gateway.store.keys import CUSTOMERS_BY_FIRST_SEEN, Partition

PARTITIONS_AT_ONCE_MAX: Final = 8
"""Folded in one go: between groups the loop serves calls."""

ARCHIVE_RETRY_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tail:
    """What a stream has after a cursor: at most one batch.

    Attributes:
        cursor: The stream id after which this begins, as the store has it; '' is the start.
        last_id: Where the cursor goes; entries that are no events are passed over.
        is_full: There may be more behind it.
    """

    partition: Partition
    cursor: str
    last_id: str
    events: Sequence[tuple[str, UsageEvent]]
    is_full: bool


class Sink(Protocol):
    cursor: str
    """The field of ``{p}cur``."""

    @property
    def is_ready(self) -> bool: ...

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        """Take each tail in whole, or not at all; says which cursors moved.

        Raises:
            LedgerUnavailable: the store is away.
        """
        ...


class CounterSink:
    """Folds events into the counters of `gateway.metering.counters`."""

    cursor = "flush"
    is_ready = True

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._zone = zone

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        moved: list[bool] = []
        for start in range(0, len(tails), PARTITIONS_AT_ONCE_MAX):
            group = tails[start : start + PARTITIONS_AT_ONCE_MAX]
            done = await asyncio.gather(*map(self._count, group), return_exceptions=True)
            for tail, result in zip(group, done, strict=True):
                moved.append(_outcome(self.cursor, tail, result))
        return moved

    async def _count(self, tail: Tail) -> bool:
        changes = fold((event for _, event in tail.events), self._zone)
        before = await self._read(tail.partition, changes)
        writes: defaultdict[str, list[str]] = defaultdict(list)
        first_seen: dict[int, int] = {}
        for number, change in changes.items():
            lifetime, days_before = before[number]
            after, days = advance(lifetime, days_before, change)
            writes[tail.partition.counters(number)] += lifetime_fields(lifetime, after)
            for day, totals in days.items():
                writes[tail.partition.days(number, month_of(day))] += day_fields(day, totals)
            if after.first_seen_ms is not None and after.first_seen_ms != lifetime.first_seen_ms:
                first_seen[number] = after.first_seen_ms
        # Before the counters: once they say "seen", nobody would come back to index it.
        await self._index(tail.partition, first_seen)
        return await move(self._store, self.cursor, tail, writes)

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

    async def _index(self, partition: Partition, first_seen: Mapping[int, int]) -> None:
        """Enter customers by when they were first seen; deleted ones have no profile."""
        if not first_seen:
            return
        identifiers = await self._store.commands(
            [("HGET", partition.profile(number), "identifier") for number in first_seen]
        )
        entries: list[str | int | bytes] = []
        for at_ms, identifier in zip(first_seen.values(), identifiers, strict=True):
            if identifier is not None:
                entries += [at_ms, identifier]
        if entries:
            await self._store.command("ZADD", CUSTOMERS_BY_FIRST_SEEN, "LT", *entries)


class ArchiveSink:
    """Writes each event as a row, all partitions in one transaction."""

    cursor = "archive"

    def __init__(self, store: Store, archive: Archive, clock: Clock) -> None:
        self._store = store
        self._archive = archive
        self._clock = clock
        self._retry_at = float("-inf")

    @property
    def is_ready(self) -> bool:
        """False for a moment after a failure: a full disk is not asked twenty times a second."""
        return self._clock.monotonic() >= self._retry_at

    async def take(self, tails: Sequence[Tail]) -> list[bool]:
        rows = [
            ArchivedEvent(tail.partition.index, stream_id, event)
            for tail in tails
            for stream_id, event in tail.events
        ]
        try:
            await self._archive.add(rows)
        except (SQLAlchemyError, OSError) as exc:
            self._retry_at = self._clock.monotonic() + ARCHIVE_RETRY_SECONDS
            # Not str(exc): SQLAlchemy puts the row into it.
            cause = getattr(exc, "orig", exc)
            log.warning("archive_failed error=%s rows=%d", cause, len(rows))
            return [False] * len(tails)
        done = await asyncio.gather(
            *(move(self._store, self.cursor, tail, {}) for tail in tails), return_exceptions=True
        )
        return [_outcome(self.cursor, *pair) for pair in zip(tails, done, strict=True)]


async def move(store: Store, cursor: str, tail: Tail, writes: Mapping[str, Sequence[str]]) -> bool:
    """Write fields (key -> field, value, ...) and pass the tail, if nobody else has."""
    args: list[str | int | bytes] = [cursor, tail.cursor, tail.last_id]
    for fields in writes.values():
        args += [len(fields) // 2, *fields]
    return bool(await store.script("apply", [tail.partition.cursors, *writes], args))


def _outcome(cursor: str, tail: Tail, result: Any) -> bool:
    """A partition whose keys are damaged stands still, and the others go on."""
    if isinstance(result, ResponseError):
        log.error(
            "partition_stuck index=%d cursor=%s error=%s", tail.partition.index, cursor, result
        )
        return False
    if isinstance(result, BaseException):
        raise result
    return bool(result)
