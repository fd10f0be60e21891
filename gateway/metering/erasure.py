"""Erasure: what names deleted customers goes from the archive.

The rows stay, under a number that nothing names; what could name it, the metadata that calls
and reports have brought along, is removed. A call can end a day after its customer was
deleted, so it is looked for as long as it is known that the number is gone.

Alerts name their customer. They go with its deletion; but whoever watched the streams at that
moment may note one more, and the archive may be away. So after deletions those are looked for
whom an alert names and nobody knows.
"""

from collections.abc import Mapping
from typing import Final

from gateway.metering.loop import repeat
from gateway.store.archive import Archive
from gateway.store.archive.outbox import CUSTOMER, subject_of
from gateway.store.client import Store
from gateway.store.keys import HOUR_MS, META

BUSY_SECONDS: Final = 0.5
"""Between two batches: those who write rows come first."""

IDLE_SECONDS: Final = 60.0
WATCHED_MS_MAX: Final = 600_000
"""So long after a deletion nobody notes an alert by what was read before it."""

CALL_MS_MAX: Final = 24 * HOUR_MS


class Erasure:
    """Of one archive.

    Attributes:
        erased: Rows whose metadata this one has removed, and alerts.
    """

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive
        self._through: set[int] = set()
        self._alerts_of: set[int] = set()
        self.erased = 0

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat("erasure", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS)

    async def step(self) -> int:
        """One batch of rows of every customer that is gone, and alerts; how many there were.

        Raises:
            LedgerUnavailable: the store is away.
            sqlalchemy.exc.SQLAlchemyError: the archive is.
        """
        partitions = self._store.keyspace.partitions
        replies = await self._store.commands(
            [("ZRANGE", p.gone, 0, -1, "WITHSCORES") for p in partitions]
        )
        gone = {
            int(number): int(float(at_ms))
            for reply in replies
            for number, at_ms in zip(reply[::2], reply[1::2], strict=True)
        }
        self._through &= gone.keys()
        count = 0
        for number, deleted_ms in gone.items():
            # Once through them all, only what has ended since is looked for.
            since_ms = deleted_ms - CALL_MS_MAX if number in self._through else 0
            erased = await self._archive.forget(number, since_ms)
            erased += await self._archive.payloads.forget(number)
            if not erased:
                self._through.add(number)
            count += erased
        count += await self._erase_alerts(gone)
        self.erased += count
        return count

    async def _erase_alerts(self, gone: Mapping[int, int]) -> int:
        """Of those who have been deleted since the last time, or a moment before it."""
        if not gone.keys() - self._alerts_of:
            return 0
        time_ms = await self._store.time_ms(META)
        count, names = 0, await self._archive.outbox.customers()
        while names:
            known = await self._store.commands(
                [("EXISTS", self._store.keyspace.partition_of(n).number(n)) for n in names]
            )
            unknown = [n for n, there in zip(names, known, strict=True) if not there]
            count += await self._archive.outbox.erase([subject_of(CUSTOMER, n) for n in unknown])
            names = await self._archive.outbox.customers(after=names[-1])
        self._alerts_of = {n for n, at_ms in gone.items() if at_ms < time_ms - WATCHED_MS_MAX}
        return count
