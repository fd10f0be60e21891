"""A ledger under virtual time, without a network that fails: for tests that set the clock."""

from collections.abc import Awaitable, Callable
from zoneinfo import ZoneInfo

from gateway.customers.directory import Directory
from gateway.customers.profile import Limits
from gateway.customers.windows import Calendar
from gateway.ledger.ledger import Ledger
from gateway.ledger.sweeper import Sweeper
from tests.simulator.gateway import SimulatedStore
from tests.simulator.network import Faults, Network
from tests.simulator.virtual_server import VirtualServer
from tests.simulator.virtual_time import VirtualClock, VirtualLoop
from tests.support.ledgers import Bench

UTC = ZoneInfo("UTC")
CALM = Faults(delay_seconds_max=0.0)


class Stage(Bench):
    """A gateway's ledger.

    Attributes:
        server: Whose clock the scripts go by.
        network: Between it and the gateway.
    """

    server: VirtualServer
    network: Network

    def set_time(self, now_ms: int) -> None:
        """It is so late at the store; a gateway's own `clock` stays as far off as it was."""
        self.server.clock.fixed_ms = now_ms


def on_stage(
    url: str,
    play: Callable[[Stage], Awaitable[None]],
    *,
    zone: ZoneInfo = UTC,
    skew_ms: int = 0,
) -> None:
    """Run `play` on an emptied server.

    Args:
        skew_ms: How far the gateway's clock is ahead of the store's, all the time.
    """
    loop = VirtualLoop()
    truth = VirtualClock(loop)
    server = VirtualServer(url, truth)
    network = Network("stage", server, faults=CALM)

    async def perform() -> None:
        store = SimulatedStore(network)
        await store.connect()
        clock = _Skewed(truth, skew_ms)
        directory = Directory(store, defaults=Limits(), calendar=Calendar(zone), clock=clock)
        ledger = Ledger(store, directory, clock)
        stage = Stage(store, directory, ledger, Sweeper(store), clock)
        stage.server, stage.network = server, network
        try:
            await play(stage)
        finally:
            await store.close()

    try:
        loop.run_until_complete(perform())
    finally:
        loop.close()
        server.close()


class _Skewed:
    def __init__(self, truth: VirtualClock, skew_ms: int) -> None:
        self._truth = truth
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        return self._truth.now_ms() + self._skew_ms

    def monotonic(self) -> float:
        return self._truth.monotonic()
