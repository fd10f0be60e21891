"""The slow auditor: checks one partition after the other, for ever, at its leisure.

It reads no details of events and takes a bounded share of one core, whatever there is to
read. One worker at a time does it, by the background lease; what it finds is in the store.
"""

import asyncio
import logging
from typing import Final

import orjson

from gateway.audit.check import Check
from gateway.audit.entries import Trimmed
from gateway.audit.records import Record, keep, key_of, record_of, records
from gateway.audit.survey import Known, survey
from gateway.clock import Clock
from gateway.errors import LedgerUnavailable
from gateway.store.client import Store

ROUND_SECONDS: Final = 300.0
"""In which every partition is checked once, where the load allows it."""

SHARE_MAX: Final = 0.05
"""Of the time. A check that took a second is followed by a pause of twenty."""

FAILED_PAUSE_SECONDS: Final = 5.0
SURVEY_PAUSE_SECONDS: Final = 0.01

log = logging.getLogger(__name__)


class Auditor:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._check = Check(store)
        self._due: list[int] = []
        self._known: dict[int, Known] = {}

    async def run(self) -> None:
        """Check for ever; never raises. Cancel it to stop: it changes nothing but its record."""
        while True:
            began = self._clock.monotonic()
            try:
                await self.step()
            except LedgerUnavailable:
                pause = FAILED_PAUSE_SECONDS
            except Exception:
                log.exception("audit_failed")
                pause = FAILED_PAUSE_SECONDS
            else:
                took = self._clock.monotonic() - began
                pause = max(ROUND_SECONDS / len(self._store.keyspace.partitions), took / SHARE_MAX)
            await asyncio.sleep(pause)

    async def step(self) -> Record | None:
        """Check the partition whose check is longest ago, and keep what was found.

        None where its events were trimmed faster than they could be read.

        Raises:
            LedgerUnavailable: the store is away.
        """
        before = await records(self._store)
        partitions = self._store.keyspace.partitions
        if not self._due:
            self._known = dict(
                await survey(self._store, counters=False, pause_seconds=SURVEY_PAUSE_SECONDS)
            )
            self._due = sorted(
                range(len(partitions)),
                key=lambda index: before[index].checked_ms if index in before else 0,
                reverse=True,
            )
        index = self._due.pop()
        known = self._known.pop(index, Known())
        try:
            checked = await self._check.run(partitions[index], known)
        except Trimmed:
            log.warning("audit_outrun partition=%d", index)
            return None
        record = record_of(checked)
        self._say(record, before.get(index))
        await keep(self._store, index, record)
        return record

    def _say(self, record: Record, before: Record | None) -> None:
        """Log each difference once: not those that were found before, by whichever worker."""
        known = before.keys if before else set()
        for difference in record.differences:
            if key_of(difference) not in known:
                log.error("books_differ %s", orjson.dumps(difference).decode())
