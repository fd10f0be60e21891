"""A simulated worker: the real flusher, sweeper and trimmer, without any lease.

Two of them at once, or one that comes back from the dead, are what the compare-and-set is
there for; the background lease would only hide it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import StaticPool, create_engine, select

from gateway.customers.windows import Calendar
from gateway.errors import LedgerUnavailable
from gateway.ledger.sweeper import Sweeper
from gateway.metering.flusher import Flusher
from gateway.metering.scope_sink import ScopeSink
from gateway.metering.trimmer import Trimmer
from gateway.store.archive import Archive, ArchivedEvent
from gateway.store.archive.rows import from_row
from gateway.store.archive.schema import create
from gateway.store.archive.table import EVENTS
from tests.simulator.gateway import SimulatedStore
from tests.simulator.network import Network
from tests.simulator.process import Process
from tests.simulator.virtual_time import VirtualClock

UTC = ZoneInfo("UTC")
PAUSE_SECONDS_MAX = 30.0


class SimulatedArchive:
    """The real one, in memory, on a disk that may be full."""

    def __init__(self, random: Random) -> None:
        # One connection: each has a memory of its own.
        engine = create_engine("sqlite://", poolclass=StaticPool)
        create(engine, "UTC")
        self._archive = Archive(engine, "UTC")
        self._archive._is_prepared = True  # it has no file
        self.fails = 0.0
        self._random = random

    async def add(self, rows: Sequence[ArchivedEvent]) -> None:
        await asyncio.sleep(0.01 * self._random.random())
        if self._random.random() < self.fails:
            raise OSError("no space left on the archive's disk")
        self._archive._add(rows)

    def rows(self) -> list[ArchivedEvent]:
        return [from_row(row._mapping) for row in self._archive._rows(select(EVENTS))]

    def close(self) -> None:
        self._archive._engine.dispose()


class LaggingSink(ScopeSink):
    """Attributes: lags_until: when it is ready again, in the loop's time."""

    lags_until = 0.0

    @property
    def is_ready(self) -> bool:  # type: ignore[override]
        return asyncio.get_running_loop().time() >= self.lags_until


class Worker(Process):
    def __init__(
        self,
        name: str,
        network: Network,
        *,
        clock: VirtualClock,
        archive: SimulatedArchive,
        random: Random,
        hot_hours: float,
    ) -> None:
        super().__init__(name, network)
        self._hot_hours = hot_hours
        self.clock = clock
        self._archive = archive
        self._random = random

    def stop_timers(self) -> None:
        self.store.stop_timers()

    def beat(self) -> None:
        self.store.beat()

    async def start(self) -> None:
        self.store = SimulatedStore(self.network)
        await self.store.connect()
        self.scope_sink = LaggingSink(self.store, Calendar(UTC), self.clock)
        self.flusher = Flusher(
            self.store,
            self._archive,  # type: ignore[arg-type]
            zone=UTC,
            clock=self.clock,
            more=[self.scope_sink],
        )
        self.sweeper = Sweeper(self.store)
        self.sweeper._wait()  # as when it runs by itself
        self.trimmer = Trimmer(self.store, self.flusher.sinks, hot_hours=self._hot_hours)
        self.spawn(self._repeat(self.flusher.step))
        self.spawn(self._repeat(self.sweeper.step))
        self.spawn(self._repeat(self.trimmer.step))

    async def trim(self) -> None:
        """Once, whatever its own loop does."""
        with suppress(LedgerUnavailable):
            await self.trimmer.step()

    async def _repeat(self, step) -> None:
        while True:
            try:
                busy = await step()
            except LedgerUnavailable:
                busy = 0
            if not busy:
                await asyncio.sleep(PAUSE_SECONDS_MAX * self._random.random() ** 3)
