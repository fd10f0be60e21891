"""The gate that holds wait at while a store is restored, in time that only a test passes."""

import asyncio

import pytest

from gateway.errors import LedgerUnavailable
from gateway.ledger.continuity import WAIT_SECONDS_MAX
from gateway.store.keys import GATEWAYS
from tests.simulator.stage import Stage, on_stage


def test_who_waits_at_the_gate_waits_again_when_it_closes_again(url: str) -> None:
    """The store has changed once more: what it lacks now has not been put back."""

    async def play(stage: Stage) -> None:
        gate = stage.ledger.continuity
        gate._close()
        waiting = asyncio.create_task(gate.wait())
        await asyncio.sleep(WAIT_SECONDS_MAX - 0.5)
        gate._close()
        await asyncio.sleep(1.0)
        assert not waiting.done()
        await asyncio.sleep(WAIT_SECONDS_MAX)
        assert waiting.done()

    on_stage(url, play)


def test_a_gateway_that_started_without_a_store_opens_when_it_has_told_it(url: str) -> None:
    """However long that took: the store has come back, and others may have to tell it, too."""

    async def play(stage: Stage) -> None:
        stage.network.take_down()
        with pytest.raises(LedgerUnavailable):
            await stage.command("PING")
        gate = stage.ledger.continuity
        running = asyncio.create_task(gate.run())
        await asyncio.sleep(10 * WAIT_SECONDS_MAX)
        with pytest.raises(LedgerUnavailable):
            await gate.wait()
        stage.server.ask("HSET", GATEWAYS, "another", "the store before")
        stage.network.is_down = False
        await stage.command("PING")
        assert not gate.is_open
        await asyncio.sleep(WAIT_SECONDS_MAX / 2)
        assert not gate.is_open, "the other has two seconds to report"
        await asyncio.sleep(WAIT_SECONDS_MAX)
        assert gate.is_open
        running.cancel()

    on_stage(url, play)
