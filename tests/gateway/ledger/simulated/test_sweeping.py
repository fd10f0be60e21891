"""When the sweeper begins to take calls for dead, in time that only a test passes."""

import asyncio

from gateway.ledger.leases import LEASE_MS
from tests.simulator.stage import Stage, on_stage

LEASE_SECONDS = LEASE_MS / 1000


def test_a_sweeper_that_starts_lets_live_calls_renew_first(url: str) -> None:
    """The store may have lost their renewals a moment ago; only this one has not seen it."""

    async def play(stage: Stage) -> None:
        hold = await stage.hold("acme", 10)
        await stage.command("ZADD", hold.partition.expiries, "XX", 0, hold.request_id)
        sweeping = asyncio.create_task(stage.sweeper.run())
        await asyncio.sleep(LEASE_SECONDS / 2)
        assert 10 == await stage.held("acme")
        await asyncio.sleep(LEASE_SECONDS)
        assert (0, 10) == (await stage.held("acme"), await stage.spent("acme"))
        sweeping.cancel()

    on_stage(url, play)
