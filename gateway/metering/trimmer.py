"""The trimmer: streams keep what is young or still needed; the rest becomes a checkpoint.

An entry may go when it is older than the hot window, by the store's clock, and every sink
has passed it. What it came to is added to its customer's checkpoint by the same script. What
the sinks have passed in a store that has changed since, they may have to pass again.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from redis.exceptions import ResponseError

from gateway.metering.checkpoints import by_customer, checkpoints, fields
from gateway.metering.loop import repeat
from gateway.metering.sinks import Sink, cursors_of, stuck
from gateway.store.client import Store
from gateway.store.keys import HOUR_MS, Partition
from gateway.store.stream_ids import START, before, halves, joined, successor

BATCH_ENTRIES_MAX: Final = 1_000
"""Of one partition in one step: what one `trim` folds and drops."""

IDLE_SECONDS: Final = 30.0
BUSY_SECONDS: Final = 0.05

TRIMMED: Final = 1

log = logging.getLogger(__name__)


class Need(NamedTuple):
    """How far the slowest sink of a partition has come."""

    place: tuple[int, int]
    sink: str


class Trimmer:
    """Of all partitions of a store.

    Attributes:
        trimmed: Entries that this one has dropped.
        waiting_ms: By how much the oldest entry has outlived the hot window because a sink
            still needs it; 0: none has. While it grows, so does the store.
        waiting_for: The name of that sink.
    """

    def __init__(self, store: Store, sinks: Sequence[Sink], *, hot_hours: float) -> None:
        self._store = store
        self._sinks = sinks
        self._hot_ms = int(hot_hours * HOUR_MS)
        self.trimmed = 0
        self.waiting_ms = 0
        self.waiting_for = ""

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat("trimmer", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """Trim one batch of every partition; returns how many entries went.

        Raises:
            LedgerUnavailable: the store is away.
        """
        partitions = self._store.keyspace.partitions
        since = self._store.changes
        needs, trims, times = await asyncio.gather(
            self._needs(partitions),
            cursors_of(self._store, "trim", partitions),
            asyncio.gather(*map(self._store.time_ms, partitions)),
        )
        self.waiting_ms, self.waiting_for, count = 0, "", 0
        for partition, need, trim, now_ms in zip(partitions, needs, trims, times, strict=True):
            hot_edge = before(now_ms - self._hot_ms)
            try:
                count += await self._trim_partition(partition, need, trim, hot_edge, since=since)
            except ResponseError as exc:
                stuck(partition, "trim", exc)
        if self.waiting_for:
            log.warning("trim_waits for=%s hours=%.1f", self.waiting_for, self.waiting_ms / HOUR_MS)
        self.trimmed += count
        return count

    async def _needs(self, partitions: Sequence[Partition]) -> list[Need]:
        """For each partition, which sink has come least far, and where it is."""
        by_sink = await asyncio.gather(*(sink.cursors(partitions) for sink in self._sinks))
        return [
            min(
                Need(_place(cursor), sink.name)
                for sink, cursor in zip(self._sinks, cursors, strict=True)
                if cursor is not None
            )
            for cursors in zip(*by_sink, strict=True)
        ]

    async def _trim_partition(
        self, partition: Partition, need: Need, trim: str, hot_edge: str, *, since: int
    ) -> int:
        edge = hot_edge
        if need.place < halves(hot_edge):
            await self._look_at_waiting(partition, need, hot_edge)
            edge = joined(*need.place)
        if need.place == START:
            return 0
        entries = await self._store.command(
            "XRANGE", partition.stream, "-", edge, "COUNT", BATCH_ENTRIES_MAX
        )
        if not entries:
            return 0
        last_id = entries[-1][0].decode()
        sums = by_customer(entries)
        first_ms, _ = halves(entries[0][0].decode())
        known = await checkpoints(self._store, partition, list(sums), trimmed_ms=first_ms)
        after = {number: known[number].plus(more) for number, more in sums.items()}
        outcome = await self._store.script(
            "trim",
            [partition.cursors, partition.stream, partition.checkpoints],
            [trim, last_id, successor(last_id), self._hot_ms, *fields(after)],
            since=since,
        )
        return len(entries) if outcome == TRIMMED else 0

    async def _look_at_waiting(self, partition: Partition, need: Need, hot_edge: str) -> None:
        """Note what has outlived the hot window because `need` has not passed it."""
        start = "-" if need.place == START else f"({joined(*need.place)}"
        entries = await self._store.command("XRANGE", partition.stream, start, hot_edge, "COUNT", 1)
        if entries:
            waiting_ms = halves(hot_edge)[0] - halves(entries[0][0].decode())[0] + 1
            if waiting_ms > self.waiting_ms:
                self.waiting_ms, self.waiting_for = waiting_ms, need.sink


def _place(cursor: str) -> tuple[int, int]:
    """A damaged cursor has passed nothing."""
    try:
        return halves(cursor)
    except ValueError:
        return START
