"""A simulated worker: the real flusher and the real sweeper, without any lease.

Two of them at once, or one that comes back from the dead, are what the compare-and-set is
there for; the background lease would only hide it.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import LedgerUnavailable
from gateway.ledger.sweeper import Sweeper
from gateway.metering.flusher import Flusher
from gateway.store.archive import ArchivedEvent
from tests.simulator.gateway import SimulatedStore
from tests.simulator.network import Network
from tests.simulator.process import Process
from tests.simulator.virtual_time import VirtualClock

UTC = ZoneInfo("UTC")
PAUSE_SECONDS_MAX = 30.0


class SimulatedArchive:
    """Rows by partition and stream id; what is there already is left alone."""

    def __init__(self, random: Random) -> None:
        self.rows: dict[tuple[int, str], Any] = {}
        self.fails = 0.0
        self._random = random

    async def add(self, rows: Sequence[ArchivedEvent]) -> None:
        await asyncio.sleep(0.01 * self._random.random())
        if self._random.random() < self.fails:
            raise OSError("no space left on the archive's disk")
        for row in rows:
            self.rows.setdefault((row.partition, row.stream_id), row.event)


class Worker(Process):
    def __init__(
        self,
        name: str,
        network: Network,
        *,
        clock: VirtualClock,
        archive: SimulatedArchive,
        random: Random,
    ) -> None:
        super().__init__(name, network)
        self.clock = clock
        self._archive = archive
        self._random = random

    def stop_timers(self) -> None:
        self.store.stop_timers()

    async def start(self) -> None:
        self.store = SimulatedStore(self.network)
        await self.store.connect()
        self.flusher = Flusher(self.store, self._archive, zone=UTC, clock=self.clock)  # type: ignore[arg-type]
        self.sweeper = Sweeper(self.store)
        self.spawn(self._repeat(self.flusher.step))
        self.spawn(self._repeat(self.sweeper.step))

    async def _repeat(self, step) -> None:
        while True:
            try:
                busy = await step()
            except LedgerUnavailable:
                busy = 0
            if not busy:
                await asyncio.sleep(PAUSE_SECONDS_MAX * self._random.random() ** 3)
