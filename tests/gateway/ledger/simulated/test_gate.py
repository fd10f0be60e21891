"""The gate that holds wait at while a store is restored, in time that only a test passes."""

import asyncio

from gateway.ledger.continuity import WAIT_SECONDS_MAX
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
