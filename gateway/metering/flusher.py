"""The flusher: carries what is new in the streams to the counters and the archive.

Correctness rests on one compare-and-set alone: a batch counts only if the cursor still
stands where its reading began. Two flushers, one that was thought dead, a batch done twice
or half: nothing changes what is counted. A lease only saves work.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import tzinfo
from typing import Final

from gateway import crash
from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.metering.archive_sink import ArchiveSink
from gateway.metering.counter_sink import CounterSink
from gateway.metering.reader import Reader
from gateway.metering.sinks import Sink, Tail
from gateway.store.archive import Archive
from gateway.store.client import Store

PAUSE_SECONDS: Final = 0.25
"""Between two steps: each has a price of its own, however few events it moves."""

FAILED_PAUSES_SECONDS: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
"""After the first failure in a row, the second ...; the last one stays."""

log = logging.getLogger(__name__)


class Flusher:
    """Of all partitions of a store.

    Attributes:
        last_flush_ms: When a step last ran to its end, Unix ms.
        lag_ms: How old the oldest uncounted event was when it was last looked at; 0: none.
        behind: Partitions in which events still waited when the last step ended.
        sinks: Where events go, the counters first. What none of them needs may be trimmed.
    """

    def __init__(
        self,
        store: Store,
        archive: Archive,
        *,
        zone: tzinfo,
        clock: Clock,
        more: Sequence[Sink] = (),
    ) -> None:
        self._store = store
        self._clock = clock
        self._reader = Reader(store)
        self.sinks: tuple[Sink, ...] = (
            CounterSink(store, zone),
            ArchiveSink(store, archive, clock),
            *more,
        )
        self._failures = 0
        self.last_flush_ms: int | None = None
        self.lag_ms = 0
        self.behind = 0

    @property
    def skipped(self) -> int:
        """Stream entries that were no events, as often as they were met."""
        return self._reader.skipped

    async def run(self) -> None:
        """Step for ever; never raises. Cancel it to stop: no moment is a bad one."""
        while True:
            pause = await self._turn()
            await asyncio.sleep(pause)

    async def step(self) -> int:
        """Take one batch of every partition that has something new.

        Returns how many entries moved on, in the sink that moved most.

        Raises:
            LedgerUnavailable: the store is away. What was not applied is found again.
        """
        moved, _ = await self._step()
        return moved

    async def _turn(self) -> float:
        """One step; how long to pause after it, in seconds."""
        try:
            _, more = await self._step()
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
        return 0.0 if more else PAUSE_SECONDS

    async def _step(self) -> tuple[int, bool]:
        """Entries moved, and whether a batch that moved was full: more waits behind it."""
        sinks: list[Sink] = [sink for sink in self.sinks if sink.is_ready]
        work = await self._read(sinks)
        if any(work):
            crash.at("flusher_read")
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
            max((_moved(outcome) for outcome in outcomes), default=0),
            any(moved and tail.is_full for tail, moved in flat),
        )

    async def _read(self, sinks: Sequence[Sink]) -> list[list[Tail]]:
        """For each sink, what lies after its places. Where these agree it is read once."""
        partitions = self._store.keyspace.partitions
        places = await asyncio.gather(*(sink.cursors(partitions) for sink in sinks))
        starts = {
            (partition, cursor): None
            for of_sink in places
            for partition, cursor in zip(partitions, of_sink, strict=True)
            if cursor is not None
        }
        found = await self._reader.read(list(starts))
        return [
            [
                tail
                for partition, cursor in zip(partitions, of_sink, strict=True)
                if cursor is not None and (tail := found.get((partition, cursor)))
            ]
            for of_sink in places
        ]

    def _look_at(self, uncounted: Sequence[Tail]) -> None:
        oldest_ms = min(
            (int(tail.events[0][0].split("-")[0]) for tail in uncounted if tail.events),
            default=None,
        )
        self.lag_ms = 0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms)


def _moved(outcome: Sequence[tuple[Tail, bool]]) -> int:
    return sum(tail.length for tail, moved in outcome if moved)
