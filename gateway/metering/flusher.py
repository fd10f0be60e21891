"""The flusher: carries what is new in the streams to the counters and the archive.

Correctness rests on one compare-and-set alone: a batch counts only if the cursor still
stands where its reading began. Two flushers, one that was thought dead, a batch done twice
or half: nothing changes what is counted. A lease only saves work.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.event import UsageEvent, decode
from gateway.metering.sinks import ArchiveSink, CounterSink, Sink, Tail
from gateway.store.archive import Archive
from gateway.store.client import Store
from gateway.store.keys import Partition

BATCH_EVENTS_MAX: Final = 200
"""Of one partition in one step: what one `apply` carries."""

BUSY_PAUSE_SECONDS: Final = 0.05
IDLE_PAUSE_SECONDS: Final = 0.25
FAILED_PAUSES_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
"""After the first failure in a row, the second ...; the last one stays."""

log = logging.getLogger(__name__)


class Flusher:
    """Of all partitions of a store.

    Attributes:
        last_flush_ms: When a step last ran to its end, Unix ms.
        lag_ms: How old the oldest uncounted event was when it was last looked at; 0: none.
        behind: Partitions in which events still waited when the last step ended.
        skipped: Stream entries that were no events, as often as they were met.
    """

    def __init__(self, store: Store, archive: Archive, *, zone: tzinfo, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._counters = CounterSink(store, zone)
        self._archive = ArchiveSink(store, archive, clock)
        self._failures = 0
        self.last_flush_ms: int | None = None
        self.lag_ms = 0
        self.behind = 0
        self.skipped = 0

    async def run(self) -> None:
        """Step for ever; never raises. Cancel it to stop: no moment is a bad one."""
        while True:
            pause = await self._turn()
            await asyncio.sleep(pause)

    async def step(self) -> int:
        """Take one batch of every partition that has something new.

        Returns the number of events that moved on, in the sink that moved more.

        Raises:
            LedgerUnavailable: the store is away. What was not applied is found again.
        """
        moved, _ = await self._step()
        return moved

    async def _turn(self) -> float:
        """One step; how long to pause after it, in seconds."""
        try:
            moved, more = await self._step()
        except Exception as exc:  # the loop outlives whatever the store does
            self._failures += 1
            pause = FAILED_PAUSES_SECONDS[min(self._failures, len(FAILED_PAUSES_SECONDS)) - 1]
            explain = self._failures == 1 and not isinstance(exc, LedgerUnavailable)
            log.warning(
                "flush_failed error=%s retry_in=%.2f", type(exc).__name__, pause, exc_info=explain
            )
            return pause
        if self._failures:
            log.info("flush_resumed failures=%d", self._failures)
            self._failures = 0
        if more:
            return 0.0
        return BUSY_PAUSE_SECONDS if moved else IDLE_PAUSE_SECONDS

    async def _step(self) -> tuple[int, bool]:
        """Events moved, and whether a batch that moved was full: more waits behind it."""
        sinks: list[Sink] = [s for s in (self._counters, self._archive) if s.is_ready]
        work = await self._read(sinks)
        self._look_at(work[0])
        results = await asyncio.gather(
            *(sink.take(tails) for sink, tails in zip(sinks, work, strict=True) if tails),
            return_exceptions=True,
        )
        outcomes: list[list[tuple[Tail, bool]]] = []
        for tails, moved in zip(filter(None, work), results, strict=True):
            if isinstance(moved, BaseException):
                raise moved
            outcomes.append(list(zip(tails, moved, strict=True)))
        flat = [pair for outcome in outcomes for pair in outcome]
        self.behind = len({t.partition.index for t, moved in flat if t.is_full or not moved})
        self.last_flush_ms = self._clock.now_ms()
        return (
            max((_events_moved(outcome) for outcome in outcomes), default=0),
            any(moved and tail.is_full for tail, moved in flat),
        )

    async def _read(self, sinks: Sequence[Sink]) -> list[list[Tail]]:
        """For each sink, what lies after its cursors. Where these agree it is read once."""
        partitions = self._store.keyspace.partitions
        names = [sink.cursor for sink in sinks]
        replies = await self._store.commands([("HMGET", p.cursors, *names) for p in partitions])
        cursors = [[(cursor or b"").decode() for cursor in reply] for reply in replies]
        ranges = [
            (partition, cursor)
            for partition, of_partition in zip(partitions, cursors, strict=True)
            for cursor in dict.fromkeys(of_partition)
        ]
        found = await self._store.commands(
            [
                (
                    "XRANGE",
                    p.stream,
                    f"({cursor}" if cursor else "-",
                    "+",
                    "COUNT",
                    BATCH_EVENTS_MAX,
                )
                for p, cursor in ranges
            ]
        )
        tails: dict[tuple[int, str], Tail] = {}
        for (partition, cursor), entries in zip(ranges, found, strict=True):
            if entries:
                tails[partition.index, cursor] = self._tail(partition, cursor, entries)
                await asyncio.sleep(0)
        return [
            [
                tails[partition.index, of_partition[i]]
                for partition, of_partition in zip(partitions, cursors, strict=True)
                if (partition.index, of_partition[i]) in tails
            ]
            for i in range(len(sinks))
        ]

    def _tail(self, partition: Partition, cursor: str, entries: list[Any]) -> Tail:
        events: list[tuple[str, UsageEvent]] = []
        for stream_id, flat in entries:
            try:
                event = decode(dict(zip(flat[::2], flat[1::2], strict=True)))
            except ValueError as exc:
                self.skipped += 1
                log.warning(
                    "entry_skipped stream=%s id=%s error=%s",
                    partition.stream,
                    stream_id.decode(),
                    type(exc).__name__,
                )
            else:
                events.append((stream_id.decode(), event))
        return Tail(
            partition,
            cursor,
            last_id=entries[-1][0].decode(),
            events=events,
            is_full=len(entries) >= BATCH_EVENTS_MAX,
        )

    def _look_at(self, uncounted: Sequence[Tail]) -> None:
        oldest_ms = min(
            (int(tail.events[0][0].split("-")[0]) for tail in uncounted if tail.events),
            default=None,
        )
        self.lag_ms = 0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms)


def _events_moved(outcome: Sequence[tuple[Tail, bool]]) -> int:
    return sum(len(tail.events) for tail, moved in outcome if moved)
