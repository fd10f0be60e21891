"""Payload retention: what was asked and answered goes after a time of its own.

Also once nothing is kept any more: what was kept is still somebody's words.
"""

from typing import Final

from gateway.clock import Clock
from gateway.metering.loop import repeat
from gateway.store.archive import Payloads

DAY_MS: Final = 86_400_000
BUSY_SECONDS: Final = 0.5
"""Between two batches: those who write rows come first."""

IDLE_SECONDS: Final = 3_600.0


class PayloadRetention:
    """Removes payloads that are older than `days`."""

    def __init__(self, payloads: Payloads, clock: Clock, *, days: int) -> None:
        self._payloads = payloads
        self._clock = clock
        self._days = days

    async def run(self) -> None:
        """For ever; never raises. Cancel it to stop: no moment is a bad one."""
        await repeat(
            "payload_retention", self.step, busy_seconds=BUSY_SECONDS, idle_seconds=IDLE_SECONDS
        )

    async def step(self) -> int:
        """Remove one batch; returns how many went."""
        return await self._payloads.drop(self._clock.now_ms() - self._days * DAY_MS)
