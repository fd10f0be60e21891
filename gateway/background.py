"""The background half of a worker: flush, sweep and audit, while it has the lease.

One worker at a time does it, to save work; two at once would count nothing twice.
"""

import asyncio
import logging
from contextlib import suppress

from gateway.audit.auditor import Auditor
from gateway.errors import LedgerUnavailable
from gateway.ledger.sweeper import Sweeper
from gateway.metering.flusher import Flusher
from gateway.store.client import Store
from gateway.store.lease import RENEW_SECONDS, Lease

log = logging.getLogger(__name__)


class Background:
    def __init__(self, store: Store, flusher: Flusher, auditor: Auditor) -> None:
        self._lease = Lease(store)
        self._flusher = flusher
        self._sweeper = Sweeper(store)
        self._auditor = auditor

    async def run(self) -> None:
        """Until cancelled; then what is still in the streams is flushed once more."""
        work: list[asyncio.Task[None]] = []
        try:
            while True:
                mine = await self._take()
                if mine and not work:
                    log.info("background_started")
                    work = [
                        asyncio.create_task(self._flusher.run(), name="flusher"),
                        asyncio.create_task(self._sweeper.run(), name="sweeper"),
                        asyncio.create_task(self._auditor.run(), name="auditor"),
                    ]
                elif not mine and work:
                    await _stop(work)
                    work = []
                await asyncio.sleep(RENEW_SECONDS)
        finally:
            if work:
                await _stop(work)
                await self._finish()

    async def _take(self) -> bool:
        try:
            return await self._lease.take()
        except LedgerUnavailable:
            return False

    async def _finish(self) -> None:
        with suppress(LedgerUnavailable):
            while await self._flusher.step():
                pass
            await self._lease.give_up()


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
