"""The background half of a worker: flush, sweep, trim, tidy and audit, while it has the lease.

One worker at a time does it, to save work; two at once would count nothing twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from gateway.errors import LedgerUnavailable
from gateway.ledger.scope_sweeper import ScopeSweeper
from gateway.ledger.sweeper import Sweeper
from gateway.metering.flusher import Flusher
from gateway.store.client import Store
from gateway.store.lease import RENEW_SECONDS, Lease

log = logging.getLogger(__name__)


class Job(Protocol):
    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        ...


class Background:
    """Flushes and sweeps, and does the further `jobs`."""

    def __init__(self, store: Store, flusher: Flusher, jobs: Sequence[Job] = ()) -> None:
        self._lease = Lease(store)
        self._flusher = flusher
        self._jobs: tuple[Job, ...] = (flusher, Sweeper(store), ScopeSweeper(store), *jobs)

    async def run(self) -> None:
        """Until cancelled; then what is still in the streams is flushed once more."""
        work: list[asyncio.Task[None]] = []
        try:
            while True:
                mine = await self._take()
                if mine and not work:
                    log.info("background_started")
                    work = [asyncio.create_task(job.run(), name=_name(job)) for job in self._jobs]
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


def _name(job: Job) -> str:
    return type(job).__name__.lower()
